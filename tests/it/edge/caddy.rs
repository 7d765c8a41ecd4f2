//! Caddy in front of the gateway: what it passes on, what it takes away, what it answers by itself.
