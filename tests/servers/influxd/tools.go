//go:build tools

// Package influxd names what this module is there to build, so that `go mod tidy` keeps it. The imports are not compiled.
// They stand here and not as `tool` directives in go.mod because influxdata/pkg-config reads go.mod with a parser of its own
// that does not know these.
package influxd

import (
	_ "github.com/influxdata/influxdb/v2/cmd/influxd"
	_ "github.com/influxdata/pkg-config"
)
