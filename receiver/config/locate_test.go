package config_test

import (
	"fmt"
	"testing"

	"alertchat/receiver/config"
)

func TestLineOf(t *testing.T) {
	const (
		yamlDoc = `# a comment
text: a
cards_v2:
- cardId: x
  card:
    header: {title: a,
      subtitle: b}
    sections:
      - widgets:
        - textParagraph:
            text: |
              long
              text
        - divider: {}
base: &base
  deep:
    name: x
copy: *base
merged:
  <<: *base
`
		jsonDoc = `{
  "text": "a", "other": [1, {"x": [2]}],
  "cardsV2": [
    {"card": null},
    {
      "card_id": "x",
      "card": {
        "sections": [{"widgets": [{},
          {"divider": {}}]}]
      }
    }
  ]
}
`
	)
	for _, c := range []struct {
		name, doc, path string
		want            int
	}{
		{"the document begins behind its comments", yamlDoc, "", 2},
		{"a key of the outermost level", yamlDoc, "text", 2},
		{"a key in its other form", yamlDoc, "cardsV2", 3},
		{"an item", yamlDoc, "cardsV2[0]", 4},
		{"a key in an item", yamlDoc, "cardsV2[0].card", 5},
		{"a key in a flow mapping", yamlDoc, "cardsV2[0].card.header.subtitle", 7},
		{"a second item", yamlDoc, "cardsV2[0].card.sections[0].widgets[1].divider", 14},
		{"a block string begins at its key", yamlDoc, "cardsV2[0].card.sections[0].widgets[0].textParagraph.text", 11},
		{"a value that is not there has the nearest line", yamlDoc, "cardsV2[0].card.sections[3].widgets[1]", 8},
		{"a value inside of a scalar", yamlDoc, "text.more[2]", 2},
		{"through an alias, where the anchor is", yamlDoc, "copy.deep.name", 17},
		{"through a merge, where the anchor is", yamlDoc, "merged.deep", 16},
		{"a document of JSON", jsonDoc, "", 1},
		{"a key of JSON", jsonDoc, "text", 2},
		{"behind what is skipped", jsonDoc, "cardsV2[1].cardId", 6},
		{"an item of JSON", jsonDoc, "cardsV2[1]", 5},
		{"deep inside of JSON", jsonDoc, "cardsV2[1].card.sections[0].widgets[1].divider", 9},
		{"what JSON does not have", jsonDoc, "cardsV2[1].card.header.title", 7},
		{"an item that JSON does not have", jsonDoc, "cardsV2[7]", 3},
		{"what cannot be read", "a: [", "a", 0},
		{"nothing", "", "a", 0},
	} {
		if got := config.LineOf([]byte(c.doc), c.path); got != c.want {
			t.Errorf("%s: LineOf(%q) = %d, want %d", c.name, c.path, got, c.want)
		}
	}
}

func FuzzLineOf(f *testing.F) {
	for _, doc := range []string{"a: [b, {c: d}]", `{"a":[1,{"c":2}]}`, "&a [*a]", "a: &x {a: b}\nb: {<<: [*x]}", "["} {
		for _, path := range []string{"a[1].c", "b.a", "[0]", "...", "a[-1]", ""} {
			f.Add([]byte(doc), path)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte, path string) {
		if got := config.LineOf(doc, path); got < 0 || got > 1+len(doc) {
			t.Fatalf("LineOf(%q, %q) = %d", doc, path, got)
		}
	})
}

func ExampleLineOf() {
	fmt.Println(config.LineOf([]byte("text: a\ncardsV2:\n- card:\n    header:\n      titel: b\n"), "cardsV2[0].card.header.titel"))
	// Output: 5
}
