// Package templates holds the templates that are built into alertchat, as the
// files that an operator can read and copy.
package templates

import "embed"

// FS holds the built-in template files, *.tmpl.
//
//go:embed *.tmpl
var FS embed.FS
