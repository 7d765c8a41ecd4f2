//! Caddy with the Caddyfile of this repository, on free ports.
