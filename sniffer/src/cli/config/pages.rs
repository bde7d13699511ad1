//! What is generated from the definitions: the example file, the reference pages, man pages, completions.

use std::{fmt::Write as _, fs, io, path::Path};

use analyzer::{api, metrics};
use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::{
    super::args::Cli,
    definition::{Setting, settings},
    reload,
    show::toml_of,
};

/// Columns of a text that people read.
const WIDTH: usize = 80;

/// The files of the completions, named as each shell looks for them.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "llmtap.bash"),
    (Shell::Zsh, "_llmtap"),
    (Shell::Fish, "llmtap.fish"),
];

/// A settings file with every setting in it, none set.
pub(super) fn example() -> String {
    let mut out = String::from(
        "# llmtap's settings, all of them, each with its default, or with what it takes\n\
         # in capitals. `llmtap config check` looks for faults, `llmtap config show\n\
         # --origin` tells what is in force and why.\n\
         #\n\
         # A flag or a variable of the environment comes before what stands here. Those\n\
         # marked (reload) are taken up by `systemctl reload llmtap` or SIGHUP.\n",
    );
    let settings = settings();
    for heading in headings(&settings) {
        let _ = write!(out, "\n# ---- {heading}\n");
        for setting in settings
            .iter()
            .filter(|setting| setting.heading() == heading)
        {
            out.push('\n');
            let mut text = setting.help();
            if !text.ends_with(['.', '?']) {
                text.push('.');
            }
            let choices = setting.choices();
            if !choices.is_empty() {
                let names: Vec<_> = choices
                    .iter()
                    .map(|one| one.get_name().to_owned())
                    .collect();
                let _ = write!(text, " One of {}.", names.join(", "));
            }
            if reload::is_reloadable(&setting.key) {
                text.push_str(" (reload)");
            }
            for line in wrapped(&text, WIDTH - 2) {
                let _ = writeln!(out, "# {line}");
            }
            let default = setting.default();
            let value = if default.is_empty() && !setting.is_list() {
                // No value would be true of every machine: what one looks like.
                toml_of(setting, &[setting.value_name().unwrap_or_default()])
            } else {
                toml_of(setting, &default)
            };
            let _ = writeln!(out, "#{} = {value}", setting.key);
        }
    }
    out
}

/// The reference page, in Markdown.
pub(super) fn reference() -> String {
    let mut out = String::from(
        "# Settings\n\n\
         Every setting is a flag, a variable of the environment, and a key of the settings file: `--idle-timeout 2m`,\n\
         `LLMTAP_IDLE_TIMEOUT=2m`, `idle-timeout = \"2m\"`. The first that is there counts, in this order; a list is\n\
         replaced as a whole, not added to. An empty variable counts as none.\n\n\
         The file is the one that `--config FILE` or `LLMTAP_CONFIG` names, else `/etc/llmtap/llmtap.toml` as root, else\n\
         `llmtap/llmtap.toml` in the XDG configuration folder; in a systemd unit, `llmtap.toml` in its\n\
         `ConfigurationDirectory`. It is TOML without headings: a list is `[\"a\", \"b\"]`, sizes and times are as\n\
         the flags take them. A key that a command does not have, but another has, is left alone by it; one that none\n\
         has is an error. [deploy/llmtap.toml](../deploy/llmtap.toml) has every key, explained.\n\n\
         ```sh\n\
         llmtap config check                  # looks for faults, and changes nothing\n\
         llmtap config show --origin          # what `llmtap run` goes by, and where each value is from\n\
         llmtap config show --origin run -p 8000 --format csv\n\
         ```\n\n\
         **Reload.** On SIGHUP (`systemctl reload llmtap`) `run` and `serve` read the file again, and the files that\n\
         settings name: rules, prices, tokenizers, tokens, certificates. What the tables mark with *yes* changes at\n\
         once, all of it or, where something is wrong, none (TLS itself is begun and ended by a restart alone); an\n\
         exchange that has begun keeps what it began with, but tokens are counted by what holds at its end. For\n\
         all else a line in the log says that it takes a restart. `llmtap_settings_reloads_total` counts what became of it.\n",
    );
    let settings = settings();
    for heading in headings(&settings) {
        let _ = write!(
            out,
            "\n## {heading}\n\n| flag and key | variable | default | reload | of | what it does |\n|---|---|---|---|---|---|\n"
        );
        for setting in settings
            .iter()
            .filter(|setting| setting.heading() == heading)
        {
            let flag = setting.value_name().map_or_else(
                || format!("--{}", setting.key),
                |value| format!("--{} {value}", setting.key),
            );
            let short = setting
                .short()
                .map(|short| format!("`-{short}`, "))
                .unwrap_or_default();
            let default = setting.default();
            let default = match default.as_slice() {
                [] => "–".to_owned(),
                values => format!("`{}`", values.join(",")),
            };
            let reload = if reload::is_reloadable(&setting.key) {
                "yes"
            } else {
                "–"
            };
            let _ = writeln!(
                out,
                "| {short}`{}` | `{}` | {default} | {reload} | {} | {} |",
                cell(&flag),
                setting.variable,
                setting.commands.join(", "),
                cell(&described(setting)),
            );
        }
    }
    out
}

/// What a setting does, its choices included.
fn described(setting: &Setting) -> String {
    let choices = setting.choices().into_iter().map(|choice| {
        let help = choice.get_help().map(|help| format!(" ({help})"));
        format!("`{}`{}", choice.get_name(), help.unwrap_or_default())
    });
    let choices: Vec<_> = choices.collect();
    if choices.is_empty() {
        return setting.help();
    }
    format!("{}: {}", setting.help(), choices.join(", "))
}

/// A vertical bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The headings in the order of the help.
fn headings(settings: &[Setting]) -> Vec<&str> {
    let mut headings = Vec::new();
    for setting in settings {
        if !headings.contains(&setting.heading()) {
            headings.push(setting.heading());
        }
    }
    headings
}

/// Lines of at most so many characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The definition as it is, whatever the environment says.
fn definition() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Writes all of it below a folder, as it lies in the repository.
pub(super) fn write(folder: &Path) -> anyhow::Result<()> {
    let mut files = vec![
        ("docs/settings.md".to_owned(), reference().into_bytes()),
        (
            "docs/metrics.md".to_owned(),
            metrics::reference().into_bytes(),
        ),
        (
            "docs/api.md".to_owned(),
            api::reference::page().into_bytes(),
        ),
        ("deploy/llmtap.toml".to_owned(), example().into_bytes()),
    ];
    for (shell, name) in COMPLETIONS {
        files.push((format!("deploy/completions/{name}"), completions(shell)));
    }
    let command = definition();
    for command in std::iter::once(&command).chain(&visible(&command)) {
        let (name, page) = man_page(command).context("cannot make a man page")?;
        files.push((format!("docs/man/{name}.1"), page));
    }
    for (name, content) in files {
        let path = folder.join(name);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, content))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A command's man page, and its name.
fn man_page(command: &Command) -> io::Result<(String, Vec<u8>)> {
    let name = command.get_display_name().unwrap_or("llmtap");
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .render(&mut page)?;
    Ok((name.to_owned(), page))
}

/// The commands that the help lists, and theirs.
fn visible(command: &Command) -> Vec<Command> {
    let subs = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    subs.flat_map(|sub| std::iter::once(sub.clone()).chain(visible(sub)))
        .collect()
}

/// The script that completes commands and flags in a shell.
pub(super) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "llmtap", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_every_command_fits_80_columns() {
        let command = definition();
        for mut command in std::iter::once(command.clone()).chain(visible(&command)) {
            for help in [command.render_help(), command.render_long_help()] {
                let help = help.to_string();
                let widest = help
                    .lines()
                    .max_by_key(|line| line.chars().count())
                    .unwrap();
                assert!(
                    widest.chars().count() <= WIDTH,
                    "llmtap {}: {widest}",
                    command.get_name()
                );
            }
        }
    }

    #[test]
    fn every_flag_stands_under_a_heading() {
        let settings = settings();
        assert!(
            !headings(&settings).contains(&"General"),
            "{:?}",
            headings(&settings)
        );
    }
}
