"""From ClickHouse to people and programs: queries, metrics, health, export, the doctor."""
