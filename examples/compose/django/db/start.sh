# Makes the database at the first start, and serves it to the project.
set -e
cd /
version=$(ls /etc/postgresql)
pg_ctlcluster "$version" main start
su postgres -c psql <<SQL
DO \$\$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'composeuser') THEN
    CREATE ROLE composeuser LOGIN PASSWORD '$(cat /run/secrets/password)';
  END IF;
END \$\$;
SQL
su postgres -c "psql -tc \"SELECT 1 FROM pg_database WHERE datname = 'composeexample'\"" | grep -q 1 ||
    su postgres -c "createdb -O composeuser composeexample"
pg_ctlcluster "$version" main stop
echo "host all all 0.0.0.0/0 scram-sha-256" >>"/etc/postgresql/$version/main/pg_hba.conf"
exec su postgres -c "exec /usr/lib/postgresql/$version/bin/postgres -D /var/lib/postgresql/$version/main \
    -c config_file=/etc/postgresql/$version/main/postgresql.conf -c listen_addresses='*'"
