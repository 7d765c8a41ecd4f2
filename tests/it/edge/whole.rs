//! Browser, Caddy, gateway, InfluxDB and Telegraf at once: the edge's figures and the frontend's are joined.
