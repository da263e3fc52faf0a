package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"alertchat/receiver/config"
)

func TestDecodeYAML(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{"a mapping, its keys in their order", "b: x\na: [1, two, {c: }]", `{"b":"x","a":[1,"two",{"c":null}]}`},
		{"a word", "x", `"x"`},
		{"nothing", "null", `null`},
		{"JSON, with its white space left out", "{\n\t\"b\" : [ 1.0 , true ],\r\n \"a\": null }\n", `{"b":[1.0,true],"a":null}`},
		{"JSON with surrogate pairs, which YAML has not", `{"a":"\ud83d\ude00"}`, `{"a":"\ud83d\ude00"}`},
		{"JSON with numbers as they are", `[1e2, -0.0, 12345678901234567890123, 0.1e-7]`, `[1e2,-0.0,12345678901234567890123,0.1e-7]`},
		{"numbers with digits kept", "[1, -1, 1.50, 1e3, 12345678901234567890123, 0]", `[1,-1,1.50,1e3,12345678901234567890123,0]`},
		{"numbers that JSON writes in another way", "[0x1F, 0o17, 0b101, +5, 1_000, .5, 5., +.5]", `[31,15,5,5,1000,0.5,5,0.5]`},
		{"booleans", "[true, True, FALSE]", `[true,true,false]`},
		{"words that were booleans once", "[yes, no, on, off, y]", `["yes","no","on","off","y"]`},
		{"nulls", "[~, null, Null, ]", `[null,null,null]`},
		{"timestamps as strings", "[2026-11-23, 2026-11-23T15:12:57Z]", `["2026-11-23","2026-11-23T15:12:57Z"]`},
		{"quoted values as strings", `['1', "true", 'null', '2026-11-23']`, `["1","true","null","2026-11-23"]`},
		{"quoted keys as strings", `{"1": a, 'true': b}`, `{"1":"a","true":"b"}`},
		{"block strings", "a: |\n  x\n  y\nb: >-\n  x\n  y\n", `{"a":"x\ny\n","b":"x y"}`},
		{"markup as it is", "a: <b>x</b> & y", `{"a":"<b>x</b> & y"}`},
		{"escapes", `a: "\u2028\n\t\0\\"`, `{"a":"\u2028\n\t\u0000\\"}`},
		{"aliases", "a: &x {c: d}\nb: *x", `{"a":{"c":"d"},"b":{"c":"d"}}`},
		{"merge keys", "a: &x {c: d, e: f}\nb: {<<: *x, c: g}", `{"a":{"c":"d","e":"f"},"b":{"c":"g","e":"f"}}`},
		{"a known tag", "a: !!str 1", `{"a":"1"}`},
		{"a byte order mark", "\ufeffa: b", `{"a":"b"}`},
		{"a document with its marks", "---\na: b\n...\n", `{"a":"b"}`},
		{"an infinity in quotes", "'.inf'", `".inf"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := config.DecodeYAML([]byte(tt.doc))
			if err != nil {
				t.Fatalf("DecodeYAML(%q) fails: %v", tt.doc, err)
			}
			if string(got) != tt.want {
				t.Errorf("DecodeYAML(%q) = %s, want %s", tt.doc, got, tt.want)
			}
		})
	}
}

func TestDecodeYAMLRefuses(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{"an empty document", "", "line 1: is empty"},
		{"two documents", "a: b\n---\nc: d\n", "line 2: a second document begins here; want one"},
		{"a number for a key", "a: b\n1: c", "line 2: want a word for a key"},
		{"a boolean for a key", "true: c", "line 1: want a word for a key"},
		{"a mapping for a key", "{{ .X }}", "line 1: want a word for a key; put a template in quotes"},
		{"a key that stands twice", "a: b\n\na: c", "line 3: the key \"a\" is there already, in line 1"},
		{"a key that stands twice in JSON", "{\"x\":[\n{\"a\":1,\n\"a\":2}]}", `line 3: the key "a" is there twice`},
		{"no number", "a: .nan", "line 1: want a number that JSON has"},
		{"an infinity", "a:\n- -.inf", "line 2: want a number that JSON has"},
		{"a tag of one's own", "a: !x b", "line 1: has a tag that is not known here"},
		{"a tag on a mapping", "!x {a: b}", "line 1: has a tag that is not known here"},
		{"a tag on a list", "!x [a]", "line 1: has a tag that is not known here"},
		{"binary data", "!!binary aGk=", "line 1: has a tag that is not known here"},
		{"a tag that does not fit", "!!int many", "line 1: want a number that JSON has"},
		{"a truth that is none", "!!bool many", "line 1: want true or false"},
		{"bytes that are not UTF-8", "a: b\nc: \xff", "line 2: is not valid UTF-8"},
		{"an anchor that contains itself", "&a [*a]", "line 1: an anchor contains itself"},
		{"a merge of nothing to merge", "a: {<<: b}", "line 1: want a mapping to merge, or a list of them"},
		{"what is no YAML", "a: [", "line 1: did not find expected node content"},
		{"what is too large", strings.Repeat(" ", 1<<20+1), "is larger than 1024 KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := config.DecodeYAML([]byte(tt.doc))
			if err == nil || err.Error() != tt.want {
				t.Errorf("DecodeYAML() = %s, %v, want the error %s", got, err, tt.want)
			}
		})
	}
}

// Each alias costs a few bytes and brings many.
func TestDecodeYAMLBoundsWhatAliasesBring(t *testing.T) {
	doc := "a: &a " + strings.Repeat("x", 100_000) + "\nb: [" + strings.Repeat("*a,", 100) + "]"
	if got, err := config.DecodeYAML([]byte(doc)); err == nil || err.Error() != "line 1: its aliases expand to too much" {
		t.Errorf("DecodeYAML() gives %d bytes, %v, want an error", len(got), err)
	}
}

func FuzzDecodeYAML(f *testing.F) {
	for _, doc := range []string{
		"a: b", `{"a":[1,{"b":"\ud800"}]}`, "- 0x1F\n- .5\n- 1_0\n- ~", "a: &x {c: d}\nb: {<<: [*x], e: *x}", "!!float 1e400", "? [a]\n: b", "[2026-11-23, +5, !!int '']", "a: |2\n   x",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := config.DecodeYAML(doc)
		if err != nil {
			return
		}
		if !json.Valid(got) {
			t.Fatalf("DecodeYAML(%q) = %q, which is no JSON", doc, got)
		}
		if len(got) > 6*(3<<20) {
			t.Fatalf("DecodeYAML of %d bytes gives %d", len(doc), len(got))
		}
		again, err := config.DecodeYAML(got)
		if err != nil || string(again) != string(got) {
			t.Fatalf("DecodeYAML(%q) = %q, %v, want it unchanged", got, again, err)
		}
	})
}
