//go:build tools

// Package tools names the command that this module exists to build, so that `go list` and `go build` find it in go.mod.
package tools

import _ "github.com/influxdata/telegraf/cmd/telegraf"
