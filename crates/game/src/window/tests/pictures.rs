//! Each screen as a picture, next to the one in `pictures`, with a tolerance.
//!
//! The window is drawn into an image, with a fixed table and a fixed time for each frame. A picture
//! is compared at a quarter of its size, block by block, so that another driver's edges make no
//! difference, but a moved panel does. After a wanted change, write them again and look at them:
//!
//! `RAFTIAN_PICTURES=write cargo test --workspace --locked --lib screens_look -- --ignored`

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bevy::app::PluginsState;
use bevy::camera::RenderTarget;
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::render_resource::TextureFormat;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use bevy::time::TimeUpdateStrategy;
use raftian_bots::Bot;
use raftian_raft::NodeId;
use raftian_realm::table::{Archetype, Level, Origin, PlayerId, SetupChange, Table};

use super::*;
use crate::crowns;
use crate::overlay::derived::tests::node;

/// Size of the window in pixels.
const SIZE: (u32, u32) = (1280, 800);

/// Pixels of the window in each direction that become one of the picture.
const SHRINK: usize = 4;

/// Pixels of a block in each direction.
const BLOCK: usize = 8;

/// Largest mean difference of a channel in a block.
const TOLERANCE: u32 = 5;

/// Stamp at which a match begins.
const START: u64 = 1_000;

/// Time of a frame.
const FRAME: Duration = Duration::from_millis(20);

/// Frames before a picture: fonts and pipelines are loaded in them, and animations end.
const FRAMES: usize = 60;

impl Shown {
    /// The window, drawn into an image.
    fn drawn() -> Shown {
        let engine = DefaultPlugins
            .build()
            .disable::<WinitPlugin>()
            .disable::<PipelinedRenderingPlugin>();
        let options = WindowOptions::default();
        let mut app = menu(engine, None, MatchFiles::default(), &options);
        app.insert_resource(TimeUpdateStrategy::ManualDuration(FRAME))
            .add_systems(PreUpdate, follow.after(RaftSystems::Apply));
        let deadline = Instant::now() + WAIT;
        while app.plugins_state() == PluginsState::Adding {
            assert!(Instant::now() < deadline, "no renderer within {WAIT:?}");
            bevy::tasks::tick_global_task_pools_on_main_thread();
        }
        app.finish();
        app.cleanup();
        app.world_mut().resource_mut::<Settings>().profile.player = "Ada".to_owned();
        let mut shown = Shown { app };
        shown.settle();
        let world = shown.app.world_mut();
        let image = Image::new_target_texture(SIZE.0, SIZE.1, TextureFormat::Rgba8UnormSrgb, None);
        let image = world.resource_mut::<Assets<Image>>().add(image);
        let mut cameras = world.query_filtered::<Entity, With<Camera2d>>();
        let cameras: Vec<_> = cameras.iter(world).collect();
        for camera in cameras {
            world
                .entity_mut(camera)
                .insert((RenderTarget::Image(image.clone().into()), IsDefaultUiCamera));
        }
        world.insert_resource(Target(image));
        shown
    }

    /// The present frame in a small size.
    fn picture(&mut self) -> Picture {
        for _ in 0..FRAMES {
            self.app.update();
        }
        let captured = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&captured);
        let image = self.app.world().resource::<Target>().0.clone();
        self.app
            .world_mut()
            .spawn(Screenshot::image(image))
            .observe(move |capture: On<ScreenshotCaptured>| {
                *keep.lock().expect("no panic") = Some(capture.image.clone());
            });
        let deadline = Instant::now() + WAIT;
        loop {
            assert!(Instant::now() < deadline, "no picture within {WAIT:?}");
            self.app.update();
            if let Some(image) = captured.lock().expect("no panic").take() {
                return Picture::shrunk(&image);
            }
        }
    }
}

/// The image that is drawn into.
#[derive(Resource)]
struct Target(Handle<Image>);

/// A small picture: three bytes a pixel.
struct Picture {
    width: usize,
    bytes: Vec<u8>,
}

impl Picture {
    fn shrunk(image: &Image) -> Picture {
        let whole = image.clone().try_into_dynamic().expect("it has colours");
        let whole = whole.to_rgb8();
        let (width, height) = (SIZE.0 as usize / SHRINK, SIZE.1 as usize / SHRINK);
        let mut bytes = Vec::with_capacity(width * height * 3);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for channel in 0..3 {
                let pixels = (0..SHRINK * SHRINK).map(|at| {
                    let (left, top) = (x * SHRINK + at % SHRINK, y * SHRINK + at / SHRINK);
                    u32::from(whole.get_pixel(left as u32, top as u32)[channel])
                });
                bytes.push((pixels.sum::<u32>() / (SHRINK * SHRINK) as u32) as u8);
            }
        }
        Picture { width, bytes }
    }

    fn read(file: &Path) -> Picture {
        let file = BufReader::new(File::open(file).expect("the picture is there"));
        let mut reader = png::Decoder::new(file).read_info().expect("it is a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("it fits into memory")];
        let info = reader.next_frame(&mut bytes).expect("it is whole");
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Picture {
            width: info.width as usize,
            bytes,
        }
    }

    fn write(&self, file: &Path) {
        let height = self.bytes.len() / 3 / self.width;
        let out = BufWriter::new(File::create(file).expect("the folder can be written"));
        let mut encoder = png::Encoder::new(out, self.width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().expect("it can be written");
        writer
            .write_image_data(&self.bytes)
            .expect("it can be written");
    }

    /// Left top corners of blocks that differ, in pixels of the window.
    fn differences(&self, other: &Picture) -> Vec<(usize, usize)> {
        assert_eq!(self.bytes.len(), other.bytes.len(), "another size");
        let height = self.bytes.len() / 3 / self.width;
        let blocks = (0..height / BLOCK).flat_map(|y| (0..self.width / BLOCK).map(move |x| (x, y)));
        let differs = |(x, y): &(usize, usize)| {
            let sum: u32 = (0..BLOCK)
                .flat_map(|line| {
                    let start = ((y * BLOCK + line) * self.width + x * BLOCK) * 3;
                    start..start + BLOCK * 3
                })
                .map(|at| u32::from(self.bytes[at].abs_diff(other.bytes[at])))
                .sum();
            sum > TOLERANCE * (BLOCK * BLOCK * 3) as u32
        };
        let differing = blocks.filter(differs);
        let scale = BLOCK * SHRINK;
        differing.map(|(x, y)| (x * scale, y * scale)).collect()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/window/tests/pictures")
}

/// Compares the present screen, or writes it.
fn compare(shown: &mut Shown, name: &str) -> Option<String> {
    let picture = shown.picture();
    let file = folder().join(name).with_extension("png");
    if std::env::var("RAFTIAN_PICTURES").is_ok_and(|value| value == "write") {
        picture.write(&file);
        return None;
    }
    let differing = picture.differences(&Picture::read(&file));
    if differing.is_empty() {
        return None;
    }
    let new = std::env::temp_dir().join(format!("raftian-{name}.png"));
    picture.write(&new);
    let new = new.display();
    Some(format!(
        "{name}: see {new}; blocks of {} pixels differ at {differing:?}",
        BLOCK * SHRINK
    ))
}

/// A table at which four bots have played for some minutes, one of them on the player's seat.
fn table(minutes: u64) -> Table {
    let mut table = Table::default();
    let origin = |table: &Table, stamp| Origin {
        player: PlayerId([1; 16]),
        member: 1,
        stamp,
        random: 11,
        round: table.rounds(),
    };
    let archetypes = [
        Archetype::Balanced,
        Archetype::Rush,
        Archetype::Boom,
        Archetype::Raid,
    ];
    let level = Level::Captain;
    let setup = SetupChange {
        seats: Some(4),
        ..SetupChange::default()
    };
    let mut begin = vec![Command::Sit, Command::Configure(setup)];
    begin.extend(
        archetypes[1..]
            .iter()
            .map(|&archetype| Command::AddBot { level, archetype }),
    );
    begin.extend([Command::Ready(true), Command::Start]);
    for command in &begin {
        let origin = origin(&table, START);
        assert_eq!(table.apply(command, &origin), Ok(()), "{command:?}");
    }
    let bots = archetypes.map(|archetype| Bot::new(level, archetype));
    let seed = table.seed().expect("a match is played");
    let mut decisions = [0; 4];
    while let Some(game) = table.game().filter(|game| game.end().is_none()) {
        let due = (0..4).zip(&bots).map(|(seat, bot)| {
            let decision = decisions[usize::from(seat)];
            (bot.due(seat, seed, decision), seat)
        });
        let (due, seat) = due.min().expect("four bots");
        if due > minutes * 60_000 {
            break;
        }
        let mut game = game.without_reports();
        game.advance(due);
        decisions[usize::from(seat)] += 1;
        let decision = decisions[usize::from(seat)];
        let orders = bots[usize::from(seat)].orders(&game, seat, seed);
        let commands = match seat {
            0 => orders.into_iter().map(Command::Order).collect(),
            _ => vec![Command::BotOrders {
                seat,
                decision,
                orders,
            }],
        };
        for command in commands {
            let origin = origin(&table, START + due);
            // A bot does not know the orders that wait for the end of the window.
            let _refused = table.apply(&command, &origin).is_err();
        }
    }
    table
}

/// Shows the status of a follower, without a node.
fn follow(screen: Res<State<Screen>>, mut status: ResMut<RaftStatus>) {
    let mut view = node(1, 3);
    view.status.leader = Some(NodeId(2));
    status.view = (*screen.get() == Screen::Match).then_some(view);
}

/// Shows a table from its first seat.
fn show(shown: &mut Shown, table: Table) {
    let world = shown.app.world_mut();
    world.insert_resource(ReplicatedTable(table));
    world.resource_mut::<NextState<Screen>>().set(Screen::Match);
    shown.settle();
    crowns::show_from(shown.app.world_mut(), 0);
    shown.settle();
}

#[test]
#[ignore = "needs a Vulkan driver"]
fn screens_look_as_before() {
    let mut shown = Shown::drawn();
    let mut complaints = Vec::new();
    complaints.extend(compare(&mut shown, "menu"));
    shown.app.world_mut().trigger(ShowLessons);
    complaints.extend(compare(&mut shown, "lessons"));
    shown.press(KeyCode::Escape, Key::Escape);
    shown.app.world_mut().trigger(ShowSettings);
    complaints.extend(compare(&mut shown, "settings"));
    shown.press(KeyCode::Escape, Key::Escape);
    show(&mut shown, Table::default());
    complaints.extend(compare(&mut shown, "lobby"));
    show(&mut shown, table(8));
    complaints.extend(compare(&mut shown, "match"));
    shown.letter(KeyCode::KeyD);
    complaints.extend(compare(&mut shown, "others"));
    shown.letter(KeyCode::KeyD);
    shown.letter(KeyCode::KeyA);
    complaints.extend(compare(&mut shown, "plan"));
    shown.press(KeyCode::Escape, Key::Escape);
    shown.press(KeyCode::Escape, Key::Escape);
    complaints.extend(compare(&mut shown, "pause"));
    shown.press(KeyCode::Escape, Key::Escape);
    show(&mut shown, table(30));
    complaints.extend(compare(&mut shown, "end"));
    let world = shown.app.world_mut();
    world.insert_resource(ReplicatedTable::default());
    let mut next = world.resource_mut::<NextState<Screen>>();
    next.set(Screen::Classic);
    complaints.extend(compare(&mut shown, "classic"));
    world_language(&mut shown, Language::Italian);
    let mut next = shown.app.world_mut().resource_mut::<NextState<Screen>>();
    next.set(Screen::Menu);
    complaints.extend(compare(&mut shown, "menu_italian"));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

fn world_language(shown: &mut Shown, language: Language) {
    let mut settings = shown.app.world_mut().resource_mut::<Settings>();
    settings.profile.language = language;
}
