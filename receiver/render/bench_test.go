package render_test

import (
	"fmt"
	"testing"

	"alertchat/receiver/incident"
)

func BenchmarkRender(b *testing.B) {
	r := renderer(b, nil)
	for _, n := range []int{1, 10, 100, 1000} {
		tellings := []incident.Telling{telling(b, thousand(b, n))}
		b.Run(fmt.Sprintf("alerts=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Render(tellings, noon())
			}
		})
	}
}

func BenchmarkDigest(b *testing.B) {
	r, text := renderer(b, nil), renderer(b, textOnly)
	for _, n := range []int{100, 1000} {
		tellings := flood(n)
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Render(tellings, noon())
			}
		})
		b.Run(fmt.Sprintf("text/groups=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				text.Render(tellings, noon())
			}
		})
	}
}
