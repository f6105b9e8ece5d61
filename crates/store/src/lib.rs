//! The embedded metadata store: tables, transactions, migrations.
