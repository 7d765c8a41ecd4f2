//! What is scraped while InfluxDB is away.
