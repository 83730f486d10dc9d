//! The version, and the completions of shells.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::Folder;

#[test]
fn the_version_says_what_was_built() {
    let said = Folder::new().parlor("--version").succeeds().out;
    // The build script says the same to the tests.
    assert_eq!(said, format!("parlor {}{}\n", env!("CARGO_PKG_VERSION"), env!("PARLOR_SOURCE")));
    let is_known = !env!("PARLOR_COMMIT").is_empty() || !env!("PARLOR_DATE").is_empty();
    assert!(is_known || said.ends_with(" (debug build)\n"), "{said}");
}

/// The build script as a program of its own: only a release asks Git, and the tests have no release.
struct BuildScript {
    program: PathBuf,
    folder: TempDir,
}

impl BuildScript {
    fn compiled() -> Self {
        let folder = TempDir::new().expect("a folder");
        let program = folder.path().join("build-script");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut compile = Command::new(rustc);
        compile.args(["--edition", "2024", "-o"]).arg(&program).arg(source);
        assert!(compile.status().expect("the compiler").success());
        std::fs::create_dir(folder.path().join("source")).expect("a folder");
        Self { program, folder }
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=ada", "-c", "user.email=ada@example.com"]).args(arguments);
        // Not the repository that this test is of.
        git.current_dir(self.source()).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
        git.env("GIT_COMMITTER_DATE", "2024-02-29T23:30:00Z");
        let output = git.output().expect("git");
        assert!(output.status.success(), "{arguments:?}: {}", super::text(output.stderr));
        super::text(output.stdout).trim().to_owned()
    }

    /// What `parlor --version` would say after the number.
    fn says(&self, folder: &Path, profile: &str, env: &[(&str, &str)]) -> String {
        let mut script = Command::new(&self.program);
        script.current_dir(folder).env("PROFILE", profile).env("OUT_DIR", self.folder.path());
        for name in ["CI", "PARLOR_COMMIT", "SOURCE_DATE_EPOCH", "GIT_DIR", "GIT_WORK_TREE"] {
            script.env_remove(name);
        }
        let output = script.envs(env.iter().copied()).output().expect("the build script");
        let told = super::text(output.stdout);
        super::line_of(&told, "cargo::rustc-env=PARLOR_SOURCE=")
            .split_once("SOURCE=")
            .expect("a value")
            .1
            .to_owned()
    }
}

#[test]
#[cfg_attr(not(with_git), ignore = "git is not installed")]
fn a_release_says_its_commit_and_day_and_needs_no_git_for_it() {
    let script = BuildScript::compiled();
    let source = script.source();
    // An unpacked archive.
    assert_eq!(script.says(&source, "release", &[]), "");
    assert_eq!(script.says(&source, "release", &[("SOURCE_DATE_EPOCH", "1795824000")]), " (2026-11-28)");
    let given = [("PARLOR_COMMIT", "0123456789abcdef"), ("SOURCE_DATE_EPOCH", "0")];
    assert_eq!(script.says(&source, "release", &given), " (0123456789ab, 1970-01-01)");

    script.git(&["init", "--quiet"]);
    script.git(&["commit", "--quiet", "--allow-empty", "--message", "one"]);
    let commit = script.git(&["rev-parse", "HEAD"]);
    let expected = format!(" ({}, 2024-02-29)", &commit[..12]);
    assert_eq!(script.says(&source, "release", &[]), expected);
    assert_eq!(
        script.says(&source, "release", &[("SOURCE_DATE_EPOCH", "951868799")]),
        expected.replace("2024", "2000")
    );
    assert_eq!(script.says(&source, "debug", &[]), " (debug build)");

    // An archive that was unpacked inside somebody's repository.
    let inside = source.join("archive");
    std::fs::create_dir(&inside).expect("a folder");
    assert_eq!(script.says(&inside, "release", &[]), "");
}

#[test]
fn shells_complete_commands_and_options() {
    let folder = Folder::new();
    for (shell, begin) in [
        ("bash", "_parlor() {"),
        ("zsh", "#compdef parlor"),
        ("fish", "# Print an optspec"),
        ("elvish", "\nuse builtin"),
    ] {
        let script = folder.parlor(&format!("completions {shell}")).succeeds().out;
        assert!(script.starts_with(begin), "{shell}: {}", script.lines().next().unwrap_or_default());
        for word in ["healthcheck", "doctor", "password-stdin", "disable"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(folder.parlor("completions nushell").output().status.code(), Some(2));
    // A script that a shell would run says what it does, and runs.
    folder.write("parlor.bash", &folder.parlor("completions bash").succeeds().out);
    let complete = "source ./parlor.bash; COMP_WORDS=(parlor user dis); COMP_CWORD=2; _parlor parlor dis user; \
                    echo ${COMPREPLY[@]}";
    let output =
        Command::new("bash").args(["-c", complete]).current_dir(folder.0.path()).output().expect("bash");
    assert_eq!(super::text(output.stdout), "disable\n", "{}", super::text(output.stderr));
}
