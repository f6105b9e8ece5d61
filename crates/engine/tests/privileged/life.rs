//! create, start, stop, kill, restart, pause, rename, remove; exit codes, policies, events.

use gantry_engine::record::State;
use gantry_engine::spec::{Healthcheck, PidMode, RestartPolicy};
use gantry_engine::{Filters, ListRequest, WaitCondition};
use gantry_errdefs::{Class, Classified};
use gantry_events::Query;

use crate::setup::{Home, PATIENCE, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_lives_from_create_to_destroy_and_leaves_nothing() {
    let home = Home::new().await;
    let mut events = home.engine.events(Query::default()).unwrap();
    let (code, text) = home.output(&["sh", "-c", "echo hello; echo $FROM $HOME; exit 7"], |_| ()).await;
    assert_eq!((code, text.as_str()), (7, "hello\nimage /root\n"));
    let all = home.engine.container_list(ListRequest { all: true, ..Default::default() }).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].record.state.status(), "exited");
    assert_eq!(all[0].image, "busybox");
    home.engine.container_remove(all[0].record.id.short(), false, false, false).await.unwrap();
    let mut seen = Vec::new();
    while seen.last().map(String::as_str) != Some("destroy") {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        seen.push(event.action);
    }
    assert_eq!(seen, ["create", "start", "die", "destroy"]);
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_cannot_run_are_told_by_dockers_codes() {
    let home = Home::new().await;
    for (command, code) in [("/no/such/program", 127), ("/etc/plain", 126)] {
        let id = home.create(&[command], |_| ()).await;
        let err = home.engine.container_start(&id).await.unwrap_err();
        assert_eq!(err.class(), Class::InvalidArgument, "{err}");
        let shown = home.engine.container_inspect(&id, false).await.unwrap();
        assert_eq!(shown.record.state.exit_code(), code, "{err}");
        assert_eq!(shown.record.state.status(), "created");
    }
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_asks_first_and_kill_does_not() {
    let home = Home::new().await;
    let polite =
        home.run(&["sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done"], |_| ()).await;
    home.until_log(&polite, "up").await;
    home.engine.container_stop(&polite, None, None).await.unwrap();
    assert_eq!(home.wait(&polite).await, 3);
    let again = home.engine.container_stop(&polite, None, None).await.unwrap_err();
    assert_eq!(again.class(), Class::NotModified);

    let deaf = home.run(&["sleep", "1000"], |_| ()).await;
    home.engine.container_stop(&deaf, None, Some(0)).await.unwrap();
    assert_eq!(home.wait(&deaf).await, 137);
    let id = home.run(&["sleep", "1000"], |_| ()).await;
    home.engine.container_kill(&id, "").await.unwrap();
    assert_eq!(home.wait(&id).await, 137);
    let err = home.engine.container_kill(&id, "TERM").await.unwrap_err();
    assert_eq!(err.class(), Class::Conflict);
    assert!(home.engine.container_kill(&id, "SIGNOPE").await.is_err());
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_container_starts_again_with_what_it_wrote() {
    let home = Home::new().await;
    let id = home.create(&["sh", "-c", "echo x >> /tmp/runs; wc -l < /tmp/runs"], |_| ()).await;
    for run in 1..=3 {
        home.engine.container_start(&id).await.unwrap();
        assert_eq!(home.wait(&id).await, 0);
        assert!(home.log(&id).await.trim_end().ends_with(&run.to_string()));
    }
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_container_stands_still_and_can_be_stopped() {
    let home = Home::new().await;
    let id = home.run(&["sleep", "1000"], |_| ()).await;
    home.engine.container_pause(&id).await.unwrap();
    let shown = home.engine.container_inspect(&id, false).await.unwrap();
    assert_eq!(shown.record.state.status(), "paused");
    assert_eq!(home.engine.container_pause(&id).await.unwrap_err().class(), Class::Conflict);
    assert_eq!(home.engine.container_start(&id).await.unwrap_err().class(), Class::Conflict);
    home.engine.container_unpause(&id).await.unwrap();
    home.engine.container_pause(&id).await.unwrap();
    home.engine.container_stop(&id, Some("KILL"), Some(5)).await.unwrap();
    assert_eq!(home.wait(&id).await, 137);
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_unique_and_can_be_changed() {
    let home = Home::new().await;
    let first = home.engine.container_create(spec(&["true"]), Some("web")).await.unwrap();
    let taken = home.engine.container_create(spec(&["true"]), Some("/web")).await.unwrap_err();
    assert_eq!(taken.class(), Class::Conflict);
    assert_eq!(
        taken.to_string(),
        format!(
            "Conflict. The container name \"/web\" is already in use by container \"{}\". You have to remove (or rename) \
             that container to be able to reuse that name.",
            first.id
        )
    );
    home.engine.container_rename("web", "site").await.unwrap();
    home.engine.container_create(spec(&["true"]), Some("web")).await.unwrap();
    assert_eq!(home.engine.container_inspect("site", false).await.unwrap().record.id, first.id);
    let missing = home.engine.container_inspect("nobody", false).await.unwrap_err();
    assert_eq!(
        (missing.class(), missing.to_string().as_str()),
        (Class::NotFound, "No such container: nobody")
    );
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_container_is_removed_only_by_force_and_an_auto_removed_one_by_itself() {
    let home = Home::new().await;
    let id = home.run(&["sleep", "1000"], |_| ()).await;
    assert_eq!(
        home.engine.container_remove(&id, false, false, false).await.unwrap_err().class(),
        Class::Conflict
    );
    home.engine.container_remove(&id, true, false, false).await.unwrap();

    let id = home.create(&["sh", "-c", "exit 5"], |spec| spec.auto_remove = true).await;
    let gone = home.engine.container_wait(&id, WaitCondition::Removed).await.unwrap();
    home.engine.container_start(&id).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, gone).await.unwrap().unwrap().code, 5);
    assert!(home.engine.container_inspect(&id, false).await.is_err());
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_failure_restarts_so_often_and_a_stop_ends_it() {
    let home = Home::new().await;
    let id = home.run(&["false"], |spec| spec.restart = RestartPolicy::OnFailure(2)).await;
    home.until(&id, |record| record.restart_count == 2 && matches!(record.state, State::Exited { .. })).await;
    let id = home.run(&["false"], |spec| spec.restart = RestartPolicy::Always).await;
    home.until(&id, |record| record.restart_count >= 1).await;
    home.engine.container_stop(&id, None, Some(1)).await.unwrap();
    home.until(&id, |record| matches!(record.state, State::Exited { .. }) && record.stopped_by_hand).await;
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_get_an_order() {
    let home = Home::new().await;
    let id = home.create(&["sleep", "1000"], |_| ()).await;
    let starts = (0..8).map(|_| {
        let (engine, id) = (home.engine.clone(), id.clone());
        tokio::spawn(async move { engine.container_start(&id).await })
    });
    let mut won = 0;
    for start in starts.collect::<Vec<_>>() {
        match start.await.unwrap() {
            Ok(()) => won += 1,
            Err(err) => assert_eq!(err.class(), Class::NotModified),
        }
    }
    assert_eq!(won, 1);
    let removes = (0..4).map(|_| {
        let (engine, id) = (home.engine.clone(), id.clone());
        tokio::spawn(async move { engine.container_remove(&id, true, false, false).await })
    });
    for remove in removes.collect::<Vec<_>>() {
        if let Err(err) = remove.await.unwrap() {
            assert!(matches!(err.class(), Class::NotFound | Class::Conflict), "{err}");
        }
    }
    assert!(home.engine.container_inspect(&id, false).await.is_err());
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_watched_and_told() {
    let home = Home::new().await;
    let check = |test: &[&str]| Healthcheck {
        test: test.iter().map(|word| (*word).to_owned()).collect(),
        interval_ns: 50_000_000,
        retries: 2,
        ..Healthcheck::default()
    };
    let well = home
        .run(&["sleep", "1000"], |spec| spec.healthcheck = Some(check(&["CMD-SHELL", "echo fine"])))
        .await;
    home.until(&well, |record| record.health.as_ref().is_some_and(|h| h.status.as_str() == "healthy")).await;
    let shown = home.engine.container_inspect(&well, false).await.unwrap();
    assert_eq!(shown.record.health.unwrap().log[0].output, "fine\n");
    let ill = home.run(&["sleep", "1000"], |spec| spec.healthcheck = Some(check(&["CMD", "false"]))).await;
    home.until(&ill, |record| record.health.as_ref().is_some_and(|h| h.status.as_str() == "unhealthy")).await;
    let open = home
        .run(&["nc", "-ll", "-p", "81", "-e", "true"], |spec| {
            spec.healthcheck = Some(check(&["CMD-TCP", "81"]))
        })
        .await;
    home.until(&open, |record| record.health.as_ref().is_some_and(|h| h.status.as_str() == "healthy")).await;
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_containers_processes_can_be_joined() {
    let home = Home::new().await;
    let owner = home.run(&["sleep", "1000"], |_| ()).await;
    let (code, text) = home.output(&["ps"], |spec| spec.pid_mode = PidMode::Container(owner.clone())).await;
    assert_eq!(code, 0);
    assert!(text.contains("sleep 1000"), "{text}");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_and_prune_takes_what_does_not_run() {
    let home = Home::new().await;
    let up = home.run(&["sleep", "1000"], |spec| drop(spec.labels.insert("tier".into(), "web".into()))).await;
    let down = home.run(&["false"], |_| ()).await;
    home.wait(&down).await;
    let ids = async |filters: &[(&str, &str)]| {
        let mut all = Filters::new();
        for (key, value) in filters {
            all.entry((*key).to_owned()).or_default().insert((*value).to_owned());
        }
        let request = ListRequest { all: true, filters: all, ..Default::default() };
        let list = home.engine.container_list(request).await.unwrap();
        list.into_iter().map(|listed| listed.record.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]).await, [down.clone(), up.clone()]);
    assert_eq!(ids(&[("label", "tier=web")]).await, [&*up]);
    assert_eq!(ids(&[("status", "exited")]).await, [&*down]);
    assert_eq!(ids(&[("exited", "1")]).await, [&*down]);
    assert_eq!(ids(&[("ancestor", "busybox")]).await.len(), 2);
    assert_eq!(ids(&[("since", &up)]).await, [&*down]);
    let pruned = home.engine.container_prune(Filters::new()).await.unwrap();
    assert_eq!(pruned.deleted, [down]);
    home.close().await;
}
