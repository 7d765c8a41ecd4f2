//! Telegraf's configurations: what they make of Caddy's and the gateway's metrics, and what an outage costs.
