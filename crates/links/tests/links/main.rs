//! Links to pictures against a server of this machine, with the faults that servers have.

#![allow(clippy::unwrap_used, unreachable_pub)]

mod server;

use server::{PICTURE, Server};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vigos_links::{Links, Settings};

fn settings(folder: &Path) -> Settings {
    let (timeout, pause) = (Duration::from_millis(400), Duration::from_millis(1));
    Settings { folder: folder.to_owned(), offline: false, timeout, pause }
}

fn links(server: &Server, folder: &Path) -> Links {
    Links::to(std::slice::from_ref(&server.host)).unwrap().with(settings(folder))
}

#[test]
fn a_picture_is_fetched_once_and_is_there_without_the_server() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let link = server.link("sound?key=1#top");
    let file = links(&server, folder.path()).file(&link).unwrap();
    assert_eq!(fs::read(&file).unwrap(), PICTURE);
    assert_eq!(links(&server, folder.path()).file(&server.link("sound?key=1")), Ok(file.clone()));
    assert_eq!(server.asked("/sound"), 1);
    let offline = links(&server, folder.path()).with(Settings { offline: true, ..settings(folder.path()) });
    assert_eq!(offline.file(&link), Ok(file));
    let said = offline.file(&server.link("other?key=2")).unwrap_err();
    assert!(said.contains("HF_HUB_OFFLINE") && !said.contains("key=2"), "{said}");
}

#[test]
fn what_may_answer_later_is_asked_again_and_what_will_not_is_not() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let links = links(&server, folder.path());
    for path in ["busy-then-sound", "limited-then-sound", "cut-then-sound"] {
        assert_eq!(fs::read(links.file(&server.link(path)).unwrap()).unwrap(), PICTURE, "{path}");
    }
    for (path, part, asked) in [
        ("busy", "it answers 503; asked 3 times", 3),
        ("gone", "it answers 404", 1),
        ("page", "found text/html, wanted a PNG, JPEG, GIF or WebP picture", 1),
        ("nothing", "found nothing that says its kind, wanted", 1),
        ("claims-much", "more than 67108864 bytes", 1),
        ("endless", "more than 67108864 bytes", 1),
        ("silent", "asked 3 times", 3),
        ("drips", "asked 3 times", 3),
        ("cut", "asked 3 times", 3),
        ("no-http", "asked 3 times", 3),
    ] {
        let begun = Instant::now();
        let said = links.file(&server.link(path)).unwrap_err();
        assert!(said.contains(part) && said.lines().count() == 1 && said.len() < 400, "{path}: {said}");
        assert_eq!(server.asked(&format!("/{path}")), asked, "{path}");
        assert_eq!(links.file(&server.link(path)), Err(said), "it is not asked again at once");
        assert_eq!(server.asked(&format!("/{path}")), asked, "{path}");
        // Not a measurement: what drips for ever would be there for ever.
        assert!(begun.elapsed() < Duration::from_secs(60), "{path}");
    }
    let kept =
        fs::read_dir(folder.path()).unwrap().flatten().flat_map(|part| fs::read_dir(part.path()).unwrap());
    assert_eq!(kept.count(), 3, "what is no picture is not kept");
}

#[test]
fn what_is_looked_ahead_for_is_there_when_it_is_asked_for() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let links = links(&server, folder.path());
    let wanted: Vec<Arc<str>> = (0..40)
        .map(|n| server.link(&format!("sound?{}", n % 20)).into())
        .chain([server.link("gone").into()])
        .collect();
    links.look_ahead(&wanted);
    assert_eq!((server.asked("/sound"), server.asked("/gone")), (20, 1), "each of them once");
    assert!(wanted[..40].iter().all(|link| links.file(link).is_ok()));
    assert!(links.file(&wanted[40]).is_err());
    assert_eq!((server.asked("/sound"), server.asked("/gone")), (20, 1));
}

#[test]
fn redirects_are_held_to_the_same_hosts() {
    let (server, other, folder) = (Server::start(), Server::start(), tempfile::tempdir().unwrap());
    let links = links(&server, folder.path());
    assert_eq!(fs::read(links.file(&server.link("to?sound")).unwrap()).unwrap(), PICTURE);
    for (target, part) in [
        (other.link("sound"), "data.image_links does not name"),
        ("http://169.254.169.254/latest".into(), "data.image_links does not name"),
        ("file:///etc/passwd".into(), "wanted one of http or https"),
        ("/to?/loop".into(), "sends on more than 5 times"),
        ("http://".into(), "which is no address"),
    ] {
        let said = links.file(&server.link(&format!("to?{target}"))).unwrap_err();
        assert!(said.contains(part), "{target}: {said}");
    }
    assert_eq!(other.asked("/sound"), 0);
}
