package webui

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

// baseCSS is how all pages look.
//
//go:embed base.css
var baseCSS string

// page is a page with its stylesheets and its script in itself, and the policy
// that lets browsers apply and run these and nothing else.
type page struct {
	template *template.Template
	policy   string
}

// newPage parses a page that has {{ stylesheets }} in its <style> and, if it has
// a script, {{ script }} in its <script>. It panics where it cannot be parsed.
func newPage(name, html, script string, funcs template.FuncMap, stylesheets ...string) page {
	style := strings.Join(stylesheets, "")
	policy := "default-src 'none'; style-src " + source(style)
	if script != "" {
		policy += "; script-src " + source(script) + "; connect-src 'self'"
	}
	policy += "; img-src data:" // the icon, which is empty
	return page{
		template: template.Must(template.New(name).Funcs(funcs).Funcs(template.FuncMap{
			"stylesheets": func() template.CSS {
				return template.CSS(style) //nolint:gosec // G203: it is a constant of ours
			},
			"script": func() template.JS {
				return template.JS(script) //nolint:gosec // G203: it is a constant of ours
			},
		}).Parse(html)),
		policy: policy + "; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
	}
}

// source is how a policy names what a <style> or <script> holds.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// guard sets the headers that all answers of the pages have.
func guard(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: with it browsers post a page's forms from the origin "null",
	// which is taken for another site.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
