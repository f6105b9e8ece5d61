# What the web process and the worker share.
require "active_record"

ActiveRecord::Base.establish_connection(
  adapter: "postgresql", host: "db", database: "composeexample", username: "composeuser",
  password: File.read("password.txt").strip
)

class Beat < ActiveRecord::Base
  def self.prepare
    connection.create_table(:beats, if_not_exists: true) { |t| t.datetime :at }
  end
end
