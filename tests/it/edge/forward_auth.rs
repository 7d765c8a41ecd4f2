//! The variant in which an own service authenticates the clients, and Caddy tells the gateway the tenant.
