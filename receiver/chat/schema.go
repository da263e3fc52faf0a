package chat

import (
	_ "embed" // for schema.json
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// schemaJSON is what Google publishes of a message: the schemas of the Chat
// API's discovery document v1, revision 20261029
// (https://chat.googleapis.com/$discovery/rest?version=v1), reduced to types,
// enums and marks, and to what can be reached from Message as input. A property
// marked readOnly stays, but the type that only it refers to does not.
//
//go:embed schema.json
var schemaJSON []byte

// schema returns the published types by name. It is built at its first use and
// never changes.
var schema = sync.OnceValue(func() map[string]*objectType {
	types, err := parseSchema(schemaJSON)
	if err != nil {
		panic("chat: schema.json: " + err.Error()) // embedded, and held by a test
	}
	return types
})

// objectType is a published type.
type objectType struct {
	name   string
	fields map[string]*field // by both of its names, cardId and card_id
	known  []string          // the names to suggest, sorted: without what is output only or deprecated
}

// field is a property of a type.
type field struct {
	Ref        string   `json:"$ref"`
	Type       string   `json:"type"`
	Format     string   `json:"format"`
	Enum       []string `json:"enum"`
	Items      *field   `json:"items"`
	ReadOnly   bool     `json:"readOnly"`
	Deprecated bool     `json:"deprecated"`

	name   string      // in camel case
	object *objectType // what Ref names; nil for what is output only
}

func parseSchema(data []byte) (map[string]*objectType, error) {
	var document struct {
		Schemas map[string]struct {
			Properties map[string]*field `json:"properties"`
		} `json:"schemas"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	types := make(map[string]*objectType, len(document.Schemas))
	for name := range document.Schemas {
		types[name] = &objectType{name: name, fields: map[string]*field{}}
	}
	for name, s := range document.Schemas {
		t := types[name]
		for property, f := range s.Properties {
			f.name = property
			if err := f.resolve(types); err != nil {
				return nil, fmt.Errorf("%s.%s: %w", name, property, err)
			}
			t.fields[property], t.fields[snakeCase(property)] = f, f
			if !f.ReadOnly && !f.Deprecated {
				t.known = append(t.known, property)
			}
		}
		slices.Sort(t.known)
	}
	return types, nil
}

// resolve finds the type that a field refers to, itself or in its items.
func (f *field) resolve(types map[string]*objectType) error {
	switch {
	case f.ReadOnly:
		return nil
	case f.Items != nil:
		f.Items.name = f.name
		return f.Items.resolve(types)
	case f.Ref != "":
		f.object = types[f.Ref]
		if f.object == nil {
			return fmt.Errorf("no type %s", f.Ref)
		}
	}
	return nil
}

// snakeCase returns the other name that Chat takes for a field: card_id for
// cardId, cards_v2 for cardsV2.
func snakeCase(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// suggest returns the known field that a wrong name was most likely meant to
// be, or "".
func (t *objectType) suggest(name string) string {
	const maxName = 40 // no field has a longer one
	if len(name) > maxName {
		return ""
	}
	best, least := "", 3
	for _, k := range t.known {
		if d := distance(plainName(name), plainName(k)); d < least && d < len(k)/2 {
			best, least = k, d
		}
	}
	return best
}

func plainName(name string) string {
	return strings.ToLower(strings.ReplaceAll(name, "_", ""))
}

// distance returns how many bytes have to be added, removed, changed, or swapped
// with their neighbour to make one string the other.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := row[j]
			if a[i] != b[j] {
				cost++
			}
			next[j+1] = min(cost, next[j]+1, row[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
