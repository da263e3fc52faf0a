package delivery_test

import (
	"encoding/json"
	"testing"

	"alertchat/receiver/delivery"
)

func TestAStepWithoutItsThreadIsAnotherMessage(t *testing.T) {
	step := delivery.Step{
		Action: delivery.Reply, Body: json.RawMessage(`{"text":"a","thread":{"threadKey":"k"},"fallbackText":"b"}`),
		RequestID: "id", Threaded: true,
	}
	got, err := step.Unthreaded()
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Body) != `{"fallbackText":"b","text":"a"}` || got.Threaded || got.Action != delivery.Create {
		t.Errorf("Unthreaded() = %+v, want a new message of the same content without a thread", got)
	}
	if got.RequestID == "" || got.RequestID == step.RequestID {
		t.Errorf("its request id is %q, want another than %q: Chat would take it for the same message", got.RequestID, step.RequestID)
	}
	if string(step.Body) == string(got.Body) || !step.Threaded {
		t.Errorf("the step itself changed: %+v", step)
	}
	step.Body = json.RawMessage(`[]`)
	if got, err := step.Unthreaded(); err == nil {
		t.Errorf("Unthreaded() of what is no message = %+v, want an error", got)
	}
}
