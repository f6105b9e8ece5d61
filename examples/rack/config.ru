run ->(env) { [200, { 'content-type' => 'text/plain' }, ["Ruby answers #{env['PATH_INFO']}\n"]] }
