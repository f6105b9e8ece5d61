# Writes a line a second.
require_relative "model"

Beat.prepare
loop do
  Beat.create!(at: Time.now)
  sleep 1
end
