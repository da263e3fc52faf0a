package webui_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestColoursCanBeRead wants of each colour of text, on each paper on which it
// stands, the contrast that WCAG 2.2 asks for at level AA.
func TestColoursCanBeRead(t *testing.T) {
	css, err := os.ReadFile("base.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(css), "(prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("there is no dark theme")
	}
	for theme, text := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, found := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(text, -1) {
			colours[found[1]] = luminance(t, found[2])
		}
		for _, pair := range [][2]string{
			{"ink", "paper"},
			{"dim", "paper"},
			{"link", "paper"},
			{"bad", "paper"},
			{"good", "good-paper"},
			{"warn", "warn-paper"},
			{"bad", "bad-paper"},
			{"idle", "idle-paper"},
		} {
			a, b := colours[pair[0]], colours[pair[1]]
			if ratio := (max(a, b) + .05) / (min(a, b) + .05); ratio < 4.5 {
				t.Errorf("the contrast of %s on %s is %.1f in the %s theme, want at least 4.5", pair[0], pair[1], ratio, theme)
			}
		}
	}
}

// luminance is how bright a colour is, from 0 to 1.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{.2126, .7152, .0722} {
		part, err := strconv.ParseUint(colour[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(part) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
