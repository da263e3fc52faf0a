package webui_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alertchat/receiver/webui"
)

func decode(t testing.TB, body string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// everyText returns a message in which each text is another, but for values
// that are constants.
func everyText(t testing.TB, body, text string) map[string]any {
	t.Helper()
	var replace func(v any) any
	replace = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for name := range v {
				v[name] = replace(v[name])
			}
		case []any:
			for i := range v {
				v[i] = replace(v[i])
			}
		case string:
			if v == "" || strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" {
				return text
			}
		}
		return v
	}
	m := decode(t, body)
	replace(m)
	return m
}

// undrawn has the fields of which nothing is to be seen, and why.
var undrawn = map[string]string{
	"Message.FallbackText":     "clients that show cards do not show it",
	"Message.MarkupSyntax":     "Chat's own syntax is the default; a test of its own has the other",
	"Message.Thread":           "says where a message goes",
	"Thread.Name":              "says where a message goes",
	"Thread.ThreadKey":         "says where a message goes",
	"CardWithID.CardID":        "a name for programs",
	"CardWithID.Card":          "drawnCard is in its place",
	"MaterialIcon.Fill":        "all icons are outlined",
	"MaterialIcon.Weight":      "all icons are of weight 400",
	"MaterialIcon.Grade":       "all icons are of grade 0",
	"Color.Alpha":              "Chat ignores it",
	"BorderStyle.StrokeColor":  "all borders are of one colour",
	"BorderStyle.CornerRadius": "all corners are alike",
	"CropStyle.AspectRatio":    "pictures are not loaded",
	"GridItem.ID":              "a name for programs",
	"Action.Parameters":        "are for the app",
	"ActionParameter.Key":      "is for the app",
	"ActionParameter.Value":    "is for the app",
	"Action.LoadIndicator":     "shows only after a click",
	"Action.Interaction":       "shows only after a click",
	"Widget.DecoratedText":     "none of a carousel's widgets",
	"Widget.Columns":           "none of a carousel's widgets",
	"Columns.ColumnItems":      "none of a carousel's widgets",
	"Column.Widgets":           "none of a carousel's widgets",
}

// A field that is added to the types and not drawn is found here, once the
// sample has it; and that the sample has it is a test of its own.
func TestEachFieldCanBeSeen(t *testing.T) {
	body := message(t, "widgets.json")
	whole := draw(t, body)
	seen := map[string]bool{}
	var visit func(v any, typ reflect.Type, root map[string]any)
	visit = func(v any, typ reflect.Type, root map[string]any) {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch v := v.(type) {
		case []any:
			for i := range v {
				visit(v[i], typ.Elem(), root)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				field, ok := fieldNamed(typ, name)
				if !ok {
					continue // such as the name under which an app gets what people enter
				}
				visit(v[name], field.Type, root)
				key, value := keyOf(typ, field), v[name]
				delete(v, name)
				if draw(t, string(encode(t, root))) != whole {
					seen[key] = true
				} else {
					seen[key] = seen[key] || false
				}
				v[name] = value
			}
		}
	}
	root := decode(t, body)
	visit(root, reflect.TypeFor[webui.DrawnMessage](), root)
	for key, drawn := range seen {
		if why := undrawn[key]; drawn == (why != "") {
			t.Errorf("%s: drawn is %v; to be left out: %q", key, drawn, why)
		}
	}

	// All fields of all types.
	var types func(typ reflect.Type)
	done := map[reflect.Type]bool{}
	types = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || done[typ] {
			return
		}
		done[typ] = true
		for _, f := range fieldsOf(typ) {
			key := keyOf(typ, f)
			if _, ok := seen[key]; !ok && undrawn[key] == "" {
				t.Errorf("testdata/widgets.json has no %s: it is not known whether it is drawn", key)
			}
			types(f.Type)
		}
	}
	types(reflect.TypeFor[webui.DrawnMessage]())
}

// fieldsOf returns the fields of a type that JSON has, with those of the types
// that are embedded in it.
func fieldsOf(typ reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(typ), func(f reflect.StructField) bool {
		return f.Anonymous || !f.IsExported() || f.Tag.Get("json") == "-"
	})
}

func fieldNamed(typ reflect.Type, name string) (reflect.StructField, bool) {
	for _, f := range fieldsOf(typ) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// keyOf names a field by the type that declares it.
func keyOf(typ reflect.Type, f reflect.StructField) string {
	if len(f.Index) > 1 {
		typ = typ.FieldByIndex(f.Index[:len(f.Index)-1]).Type
	}
	return typ.Name() + "." + f.Name
}
