"""ClickHouse's tables and views: connections, migrations, clusters, retention, rebuild."""
