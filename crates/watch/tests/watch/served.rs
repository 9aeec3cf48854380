//! The page live: what is answered to whom, and what is not.

use crate::support::{Served, metrics, recorded, run};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use vigos_watch::{Watch, WatchError};

#[test]
fn a_single_run_is_shown_as_its_page_with_a_script_that_asks_for_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 3);
    let served = Served::of(folder.path());
    let first = served.get("/");
    assert!(first.starts_with("HTTP/1.1 307") && first.contains("location: /runs/1\r\n"), "{first}");
    let page = served.get("/runs/1");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<!doctype html>"), "{}", &page[..200]);
    for promised in [
        "content-security-policy: frame-ancestors 'none'",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "connect-src &#x27;self&#x27;;",
        "default-src &#x27;none&#x27;",
    ] {
        assert!(page.contains(promised), "{promised}");
    }
    assert!(!page.contains("it loads nothing"), "the page asks its server");
    let version = served.get("/runs/1/version");
    let version = version.rsplit("\r\n\r\n").next().unwrap();
    assert!(page.contains(&format!("SEEN = \"{version}\"")), "{version}");
}

#[test]
fn the_page_is_made_anew_when_the_run_has_written_a_line() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 3);
    let served = Served::of(folder.path());
    let steps = |page: &str| page.split_once("\"steps\":[").unwrap().1.split_once(']').unwrap().0.to_owned();
    let before = served.get("/runs/1");
    assert_eq!(steps(&before), "1.0,2.0,3.0");
    let first = served.get("/runs/1/version");
    // One whole line, and one that is still being written.
    let mut file =
        std::fs::OpenOptions::new().append(true).open(folder.path().join("metrics.jsonl")).unwrap();
    write!(file, "{}\n{}", metrics(4), &metrics(5)[..40]).unwrap();
    let begin = Instant::now();
    while served.get("/runs/1/version").rsplit("\r\n\r\n").next() == first.rsplit("\r\n\r\n").next() {
        assert!(begin.elapsed() < Duration::from_secs(60), "no newer version came");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(steps(&served.get("/runs/1")), "1.0,2.0,3.0,4.0");
}

#[test]
fn several_runs_are_a_list_and_new_ones_come_into_it() {
    let folder = tempfile::tempdir().unwrap();
    run(&folder.path().join("a"), 2);
    run(&folder.path().join("deep/er/<b>&"), 7);
    let served = Served::of(folder.path());
    let list = served.get("/");
    assert!(list.starts_with("HTTP/1.1 200") && !list.contains("<b>"), "{list}");
    assert!(list.contains("/runs/1\">a</a>") && list.contains("&lt;b&gt;&amp;</a></td><td>7"), "{list}");
    assert!(served.get("/runs/2").contains("after") || served.get("/runs/2").contains("step"));
    run(&folder.path().join("aa"), 1);
    let begin = Instant::now();
    while !served.get("/").contains("/runs/3\">aa</a>") {
        assert!(begin.elapsed() < Duration::from_secs(60), "the new run did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(served.get("/").contains("/runs/1\">a</a>"), "numbers stay");
}

#[test]
fn who_asks_by_another_name_or_for_something_else_gets_nothing_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    run(&folder.path().join("runs/a"), 2);
    std::fs::write(folder.path().join("secret"), "the secret").unwrap();
    let served = Served::of(&folder.path().join("runs"));
    let ask = |host: &str| served.ask(&format!("GET /runs/1 HTTP/1.1\r\n{host}Connection: close\r\n\r\n"));
    for host in ["Host: evil.example:7878\r\n", "Host: 127.0.0.1.evil.example\r\n", "Host: \r\n", ""] {
        let answer = ask(host);
        assert!(!answer.contains("doctype") && answer.starts_with("HTTP/1.1 4"), "{host}: {answer}");
    }
    assert!(ask("Host: localhost:1\r\n").contains("doctype"));
    for path in [
        "/runs/0",
        "/runs/2",
        "/runs/-1",
        "/runs/99999999999999999999",
        "/runs/a",
        "/runs/..%2f..%2fsecret",
        "/runs/1/../../secret",
        "/../secret",
        "/secret",
        "/runs/1%00",
        "/runs/1/config.toml",
        "//etc/passwd",
    ] {
        let answer = served.get(path);
        assert!(
            answer.starts_with("HTTP/1.1 404") && !answer.contains("secret\r\n\r\nthe"),
            "{path}: {answer}"
        );
    }
    let posted = served.ask(&format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        served.address()
    ));
    assert!(posted.starts_with("HTTP/1.1 405"), "{posted}");
}

#[test]
fn hostile_texts_stay_texts() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 2);
    recorded(folder.path(), 2, &[("</script><script>bad()</script>", &["<img src=x onerror=bad()>"], "d")]);
    let served = Served::of(folder.path());
    let page = served.get("/runs/1");
    assert!(!page.contains("<script>bad()") && !page.contains("<img src=x"), "markup got through");
}

#[test]
fn a_run_that_is_moved_away_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    run(&folder.path().join("a"), 2);
    let served = Served::of(folder.path());
    std::fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
    let answer = served.get("/runs/1");
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("no such folder"), "{answer}");
}

#[test]
fn it_ends_when_told_to_though_someone_stays_connected() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 1);
    let mut served = Served::of(folder.path());
    served.get("/runs/1");
    let mut idle = TcpStream::connect(served.address()).unwrap();
    idle.write_all(b"GET / HT").unwrap();
    served.end().unwrap();
    assert!(TcpStream::connect(served.address()).is_err(), "nobody listens any more");
}

#[test]
fn what_cannot_be_watched_is_said_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let open = |address: &str| Watch::open(folder.path(), address).unwrap_err();
    let said = open("127.0.0.1:0").to_string();
    assert!(said.contains("found no run in it") && said.contains("vigos train"), "{said}");
    assert!(
        Watch::open(&folder.path().join("no"), "127.0.0.1:0")
            .unwrap_err()
            .to_string()
            .contains("no such folder")
    );
    run(folder.path(), 1);
    let said = open("0.0.0.0:7878").to_string();
    assert!(said.contains("ssh -L"), "{said}");
    let first = Watch::open(folder.path(), "127.0.0.1:0").unwrap();
    let address = first.address().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let taken = open(&address);
    assert!(matches!(taken, WatchError::Taken { .. }) && taken.is_input(), "{taken}");
    assert!(taken.to_string().contains("--listen 127.0.0.1:0"), "{taken}");
}
