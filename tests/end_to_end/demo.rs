use palanquin_tests::{Program, Scratch};

#[test]
fn the_demonstration_ends_by_itself_without_a_terminal_and_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let temporary = scratch.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let run = Program::with(["demo"]).env("TMPDIR", &temporary).run();
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    for part in ["copied and verified", "mempalace_drawers", "mempalace_closets", "0 differences"] {
        assert!(run.stdout.contains(part), "{part:?} is not in {}", run.stdout);
    }
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}
