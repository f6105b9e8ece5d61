require 'sinatra'

set :bind, '0.0.0.0'
set :port, 80
set :server, 'webrick'

get '/' do
  "Sinatra says hello\n"
end
