# A Rails application of one file.
require "rails"
require "action_controller/railtie"
require_relative "model"

class Example < Rails::Application
  config.eager_load = false
  config.hosts.clear
  config.secret_key_base = "an example"
  config.logger = Logger.new($stdout)
  routes.append { root to: "pages#index" }
end

class PagesController < ActionController::Base
  def index
    Beat.prepare
    render plain: "Yay! You're on Rails #{Rails.version}, and the worker was here #{Beat.count} times.\n"
  end
end

Example.initialize!
run Example
