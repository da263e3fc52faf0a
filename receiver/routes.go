package receiver

import (
	"alertchat/receiver/route"
)

// RoutedAlert is one alert of a payload, with the ways that it goes.
type RoutedAlert struct {
	Labels  map[string]string
	Matches []route.Match // at least one
}

// Routes says for each alert of a payload, in their order, which spaces it goes
// to and why. It fails with the errors of [alert.Decode].
func (s *Setup) Routes(payload []byte) ([]RoutedAlert, error) {
	p, err := decodePayload(payload)
	if err != nil {
		return nil, err
	}
	routed := make([]RoutedAlert, len(p.Alerts))
	for i, matches := range s.tree.Explain(p) {
		routed[i] = RoutedAlert{Labels: p.Alerts[i].Labels, Matches: matches}
	}
	return routed, nil
}
