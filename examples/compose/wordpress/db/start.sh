# Says at every start who may use the database, and serves it.
set -e
mkdir -p /run/mysqld && chown mysql: /run/mysqld /var/lib/mysql
cat >/tmp/first.sql <<SQL
CREATE DATABASE IF NOT EXISTS $MYSQL_DATABASE;
CREATE USER IF NOT EXISTS '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT ALL ON $MYSQL_DATABASE.* TO '$MYSQL_USER'@'%';
SQL
chmod 644 /tmp/first.sql
exec mariadbd --user=mysql --bind-address=0.0.0.0 --init-file=/tmp/first.sql
