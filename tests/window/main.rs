//! The real window: its pixels before and after orders that real nodes committed. Needs a display,
//! which `.ci/run` provides.

#[path = "../processes/cluster.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of processes, which use all of it"
)]
mod cluster;
mod flow;
mod picture;
#[path = "../processes/player.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of processes, which use all of it"
)]
mod player;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cluster::{Cluster, eventually, raftian};
use picture::Picture;

/// Centres of the cities 1 to 5 in the original's coordinates.
const CENTRES: [(u32, u32); 5] = [(625, 725), (875, 225), (375, 225), (125, 975), (125, 225)];

/// Takes a screenshot of member 1's window.
fn photograph(cluster: &Cluster, name: &str) -> Picture {
    let file = format!("{}/{name}.png", cluster.directory());
    let shot = raftian(&[
        "play",
        "--config",
        cluster.config(1),
        "--screenshot",
        &file,
        "--after",
        "6",
    ]);
    assert!(shot.status.success(), "{shot:?}");
    Picture::read(&file)
}

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn classic_board_is_drawn_and_hits_fade_its_cities() {
    let mut cluster = Cluster::new(3);
    // All found the match; then the place of n1 is free for the window.
    cluster.start_all();
    cluster.terminate(1);
    cluster.leader();

    let before = photograph(&cluster, "before");
    assert_eq!(before.size(), (1000, 1200));
    let full = [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 0],
        [255, 0, 255],
    ];
    assert_eq!(CENTRES.map(|at| before.pixel(at)), full);
    // A city is 80 by 80: the pixels at its corners are the city's, those outside the map's.
    let blue = [0, 0, 255];
    let grey = [125, 125, 125];
    assert_eq!(
        [(335, 185), (414, 264)].map(|at| before.pixel(at)),
        [blue, blue]
    );
    assert_eq!(
        [(333, 185), (416, 264)].map(|at| before.pixel(at)),
        [grey, grey]
    );
    // Header and footer are white, the map is grey, and black lines separate its cells.
    assert_eq!(
        [(20, 20), (980, 90), (980, 1180)].map(|at| before.pixel(at)),
        [[255; 3]; 3]
    );
    for line in [250, 500, 750] {
        assert!(
            before.has_black_line_near(line, 600, true),
            "an upright line at {line}"
        );
        assert!(
            before.has_black_line_near(600, 100 + line, false),
            "a level line at {line}"
        );
    }
    assert!(before.ink((200, 10, 800, 90)) > 500, "the header has text");

    for (city, hits) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
        for _ in 0..hits {
            assert_eq!(cluster.order(2, city)["effect"], "hit");
        }
    }
    let after = photograph(&cluster, "after");
    let faded = [
        [255, 65, 65],
        [105, 255, 105],
        [155, 155, 255],
        [55, 55, 33],
        [255, 0, 255],
    ];
    assert_eq!(CENTRES.map(|at| after.pixel(at)), faded);
}

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn click_on_a_city_is_committed_by_five_nodes_in_one_process() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("clicked.png");
    let game = Command::new(env!("CARGO_BIN_EXE_raftian"))
        .args(["--screen", "classic", "--after", "20", "--screenshot"])
        .arg(&file)
        .stdin(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let window = window_of(&game);
    // Clicks before the first frame and before the first leader are lost, so repeat every second.
    repeat_until_closed(game, || {
        xdotool(&["mousemove", "--window", &window, "375", "225"]);
        xdotool(&["click", "1"]);
    });
    let picture = Picture::read(&file);
    assert_ne!(picture.pixel(CENTRES[2]), [0, 0, 255], "city 3 was hit");
    assert_eq!(
        picture.pixel(CENTRES[0]),
        [255, 0, 0],
        "no other city was hit"
    );
}

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn window_without_a_display_suggests_a_headless_node() {
    for display in ["", ":4711"] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let output = Command::new(env!("CARGO_BIN_EXE_raftian"))
            .env("TMPDIR", directory.path())
            .env_remove("WAYLAND_DISPLAY")
            .env("DISPLAY", display)
            .stdin(Stdio::null())
            .output()
            .expect("the program can be started");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(11), "{words}");
        assert!(words.contains("raftian node --config"), "{words}");
        let left = std::fs::read_dir(directory.path())
            .expect("a directory")
            .count();
        assert_eq!(left, 0, "the aborted match leaves no files");
    }
}

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn interrupted_window_ends_its_match_with_signal_exit_code() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut game = Command::new(env!("CARGO_BIN_EXE_raftian"))
            .env("TMPDIR", directory.path())
            .stdin(Stdio::null())
            .spawn()
            .expect("the program can be started");
        window_of(&game);
        let sent = Command::new("kill")
            .args([signal, &game.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
        assert_eq!(
            game.wait().expect("the game ends").code(),
            Some(code),
            "{signal}"
        );
        let left: Vec<_> = std::fs::read_dir(directory.path())
            .expect("a directory")
            .flatten()
            .collect();
        assert!(left.is_empty(), "the match left files: {left:?}");
    }
}

/// Colours of the interface and of the first two seats.
const PANEL: [u8; 3] = [22, 34, 45];
const GOLD: [u8; 3] = [245, 198, 82];
const SEATS: [[u8; 3]; 2] = [[213, 94, 0], [0, 158, 115]];

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn one_key_leads_from_the_menu_to_a_match_against_bots() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [menu, played] = ["menu", "match"].map(|name| directory.path().join(format!("{name}.png")));
    let shot = Command::new(env!("CARGO_BIN_EXE_raftian"))
        .args(["--after", "4", "--screenshot"])
        .arg(&menu)
        .stdin(Stdio::null())
        .status();
    assert!(shot.is_ok_and(|status| status.success()));
    let menu = Picture::read(&menu);
    assert_eq!(menu.size(), (1280, 800));
    let title = menu.count((0, 0, 1280, 260), GOLD);
    assert!(title > 5_000, "the name of the game: {title} gold pixels");

    let game = Command::new(env!("CARGO_BIN_EXE_raftian"))
        .args(["--after", "25", "--screenshot"])
        .arg(&played)
        .stdin(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let window = window_of(&game);
    // The first entry has the focus. Keys before the first frame are lost; in a match Enter does
    // nothing while no march is planned.
    repeat_until_closed(game, || {
        xdotool(&["windowfocus", &window]);
        xdotool(&["key", "Return"]);
    });
    let played = Picture::read(&played);
    let bar = played.count((0, 0, 1280, 8), PANEL);
    assert!(bar > 10_000, "the bar above the map: {bar}");
    let throne = played.count((400, 300, 510, 420), GOLD);
    assert!(throne > 300, "the crown of the Throne: {throne}");
    for seat in SEATS {
        let city = played.count((160, 70, 750, 640), seat);
        assert!(city > 300, "a city of {seat:?}: {city}");
    }
}

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn keys_change_a_setting_that_is_found_in_its_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let shot = directory.path().join("menu.png");
    let game = Command::new(env!("CARGO_BIN_EXE_raftian"))
        .args(["--after", "30", "--screenshot"])
        .arg(&shot)
        .env("XDG_CONFIG_HOME", directory.path())
        .stdin(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let window = window_of(&game);
    // Keys before the first frame are lost; at the last entry further ones do nothing.
    for _ in 0..30 {
        xdotool(&["windowfocus", &window]);
        xdotool(&["key", "Down"]);
        std::thread::sleep(Duration::from_millis(300));
    }
    // The entry above the last one, the last tab, its first row.
    for key in ["Up", "Return", "Left", "Down", "Right"] {
        xdotool(&["key", key]);
        std::thread::sleep(Duration::from_millis(500));
    }
    let file = directory.path().join("raftian/settings.toml");
    let mut text = String::new();
    eventually("the setting is saved while the page is open", || {
        text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains("\nscale = 125\n")
    });
    assert!(text.contains("\nbuild_wood = \"KeyQ\"\n"), "{text}");
    // The page is closed by Escape, which leads nowhere from the menu.
    repeat_until_closed(game, || {
        xdotool(&["key", "Escape"]);
    });
    let menu = Picture::read(&shot);
    let title = menu.count((0, 0, 1280, 300), GOLD);
    assert!(
        title > 7_000,
        "the larger name of the game: {title} gold pixels"
    );
}

/// A game that plays a lesson, with its file of settings.
struct Lesson {
    game: Child,
    window: String,
    settings: std::path::PathBuf,
}

impl Lesson {
    /// Opens the list by keys, and begins the lesson with this number. The picture is taken `after`
    /// this many seconds.
    fn begin(number: usize, folder: &std::path::Path, after: u32) -> Lesson {
        let game = Command::new(env!("CARGO_BIN_EXE_raftian"))
            .args(["--after", &after.to_string(), "--screenshot"])
            .arg(folder.join("lesson.png"))
            .env("XDG_CONFIG_HOME", folder)
            .stdin(Stdio::null())
            .spawn()
            .expect("the program can be started");
        let window = window_of(&game);
        let lesson = Lesson {
            game,
            window,
            settings: folder.join("raftian/settings.toml"),
        };
        // Keys before the first frame are lost; at the last entry further ones do nothing.
        for _ in 0..30 {
            lesson.press(&["Down"]);
        }
        // From the last entry up to the list of lessons.
        lesson.press(&["Up", "Up", "Up", "Return"]);
        std::thread::sleep(Duration::from_secs(1));
        for _ in 1..number {
            lesson.press(&["Down"]);
        }
        lesson.press(&["Return"]);
        lesson
    }

    fn press(&self, keys: &[&str]) {
        press(&self.window, keys);
    }

    /// Whether the file of settings has a line.
    fn has_saved(&self, line: &str) -> bool {
        let text = std::fs::read_to_string(&self.settings).unwrap_or_default();
        text.lines().any(|saved| saved == line)
    }

    /// Presses keys again and again until the game has taken its picture, and reads it.
    fn picture_after(self, keys: &[&str]) -> Picture {
        let folder = self.settings.ancestors().nth(2).expect("a folder");
        let file = folder.join("lesson.png");
        let window = self.window;
        repeat_until_closed(self.game, || press(&window, keys));
        Picture::read(&file)
    }
}

/// Golden pixels of the bar at the top of the guide: some 360 for each of four steps that is done.
fn gold_of_steps(picture: &Picture) -> usize {
    picture.count((20, 122, 290, 134), GOLD)
}

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn key_completes_the_first_step_of_a_lesson() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let lesson = Lesson::begin(2, folder.path(), 60);
    // Until the table is laid a key does nothing. Afterwards it builds the lumber camp higher,
    // which is the first step and no other one.
    let played = lesson.picture_after(&["q"]);
    let bar = played.count((0, 0, 1280, 8), PANEL);
    assert!(bar > 10_000, "the bar above the map: {bar}");
    let gold = gold_of_steps(&played);
    assert!(gold > 300, "one step is done: {gold} gold pixels");
}

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn keys_lead_to_the_end_of_the_lesson_of_the_leader() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let lesson = Lesson::begin(5, folder.path(), 600);
    // Enter kills the leader while the guide offers that, else it opens the field for a message, or
    // sends what is in it. 1 trains a spear while no field is open. With an odd and an even number
    // of Enters in turn, one of the two finds the field closed, also after a key was lost.
    let mut rounds = 0;
    eventually("the lesson is done, and saved", || {
        let enters = 1 + rounds % 2;
        rounds += 1;
        lesson.press(&["Return", "Return"][..enters]);
        lesson.press(&["1"]);
        std::thread::sleep(Duration::from_secs(2));
        lesson.has_saved("leader = true")
    });
    for other in ["classic", "grow", "fight", "throne", "split"] {
        assert!(lesson.has_saved(&format!("{other} = false")), "{other}");
    }
    let mut game = lesson.game;
    let sent = Command::new("kill").arg(game.id().to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()));
    assert_eq!(game.wait().expect("the game ends").code(), Some(143));
}

/// A software renderer is reported in one line; messages of graphics libraries are for their
/// developers and must not reach the player.
#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn ordinary_run_prints_no_library_messages() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("window.png");
    let shot = Command::new(env!("CARGO_BIN_EXE_raftian"))
        .args(["--after", "4", "--screenshot"])
        .arg(&file)
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started");
    assert!(shot.status.success(), "{shot:?}");
    let printed = String::from_utf8_lossy(&shot.stderr);
    let sentence =
        "raftian: no graphics driver found; the window is drawn slowly by a software renderer";
    assert!(printed.lines().all(|line| line == sentence), "{printed}");
}

/// A remote session is closed, or the graphics driver is reset: the player's member must remain a
/// voter.
#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn member_keeps_running_when_its_display_dies() {
    let mut cluster = Cluster::new(3);
    let (mut server, display) = own_display();
    let log = format!("{}/window.log", cluster.directory());
    let file = std::fs::File::create(&log).expect("a file");
    cluster.start_with(1, &["play"], |program| {
        program.env("DISPLAY", &display).stderr(file);
    });
    cluster.start(2);
    cluster.start(3);
    cluster.leader();
    eventually("the window opens", || {
        let search = ["search", "--onlyvisible", "--name", "."];
        let output = Command::new("xdotool")
            .args(search)
            .env("DISPLAY", &display)
            .output();
        output.is_ok_and(|output| !output.stdout.is_empty())
    });
    server.kill().expect("a child can be killed");
    server.wait().expect("a killed child ends");
    eventually("the member logs the lost window", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("the window is lost"))
    });
    cluster.order(2, 1);
    eventually("the member responds and has applied the order", || {
        let answer = raftian(&["status", "--config", cluster.config(1), "--json"]);
        let status =
            serde_json::from_slice::<serde_json::Value>(&answer.stdout).unwrap_or_default();
        answer.status.success() && status["cities"][0]["health"].as_i64() == Some(70)
    });
    assert!(cluster.runs(1), "the process of n1 still runs");
    // With n2 gone, n3 can neither lead nor commit without n1.
    cluster.kill(2);
    cluster.order(3, 2);
    assert_eq!(cluster.terminate(1), Some(143));
}

/// Starts a display server for one test and returns its process and display name.
fn own_display() -> (Child, String) {
    for number in 120..160 {
        if std::path::Path::new(&format!("/tmp/.X11-unix/X{number}")).exists() {
            continue;
        }
        let display = format!(":{number}");
        let mut server = Command::new("Xvfb")
            .args([&display, "-noreset", "-screen", "0", "1280x1300x24"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed");
        eventually("the display server starts or gives up", || {
            std::path::Path::new(&format!("/tmp/.X11-unix/X{number}")).exists()
                || server.try_wait().is_ok_and(|ended| ended.is_some())
        });
        // A concurrent test may have taken this display; then try the next.
        if server.try_wait().is_ok_and(|ended| ended.is_none()) {
            return (server, display);
        }
    }
    panic!("no display is free");
}

/// Waits for the window of `game`, found by process because its title changes with the member
/// behind it.
fn window_of(game: &Child) -> String {
    let process = game.id().to_string();
    let mut window = String::new();
    eventually("the window opens", || {
        window = xdotool(&["search", "--onlyvisible", "--pid", &process])
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        !window.is_empty()
    });
    window
}

/// Repeats an input every second until the game has taken its picture and ended with success.
fn repeat_until_closed(mut game: Child, input: impl Fn()) {
    let ended = loop {
        if let Some(ended) = game.try_wait().expect("the game can be waited for") {
            break ended;
        }
        input();
        std::thread::sleep(Duration::from_secs(1));
    };
    assert!(ended.success());
}

/// Presses keys, one in a frame or later.
fn press(window: &str, keys: &[&str]) {
    for key in keys {
        xdotool(&["windowfocus", window]);
        xdotool(&["key", key]);
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn xdotool(arguments: &[&str]) -> String {
    let output = Command::new("xdotool")
        .args(arguments)
        .output()
        .expect("xdotool is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
