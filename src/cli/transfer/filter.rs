//! `--include` and `--exclude`: which keys are meant. Pure.

use clap::{Arg, ArgAction, ArgMatches, Command};
use glob::{MatchOptions, Pattern};

/// Patterns in the order in which they were typed; the last that matches a key decides.
#[derive(Debug, Clone, Default)]
pub struct Filters(Vec<(bool, Pattern)>);

/// `*` also matches `/`, as everywhere in the AWS tools.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: false, require_literal_leading_dot: false };

impl Filters {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key, relative to its root, is meant. Where the first pattern includes, all else is left out.
    pub fn take(&self, key: &str) -> bool {
        let decided = self.0.iter().rev().find(|(_, pattern)| pattern.matches_with(key, OPTIONS));
        match decided {
            Some((include, _)) => *include,
            None => self.0.first().is_none_or(|(include, _)| !include),
        }
    }
}

/// By hand, since the derived ones forget the order of different options.
impl clap::Args for Filters {
    fn augment_args(command: Command) -> Command {
        let pattern = |name: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name("PATTERN")
                .action(ArgAction::Append)
                .value_parser(Pattern::new)
                .help(help)
        };
        command
            .arg(pattern(
                "include",
                "Copy what matches: * (also across /), ?, [a-z] over the key below SRC; the last match of --include and \
                 --exclude decides, and where the first is --include all else is left out",
            ))
            .arg(pattern("exclude", "Leave out what matches"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Filters {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut found = Vec::new();
        for (name, include) in [("include", true), ("exclude", false)] {
            let places = matches.indices_of(name).into_iter().flatten();
            let patterns = matches.get_many::<Pattern>(name).into_iter().flatten();
            found.extend(places.zip(patterns).map(|(place, pattern)| (place, include, pattern.clone())));
        }
        found.sort_by_key(|(place, ..)| *place);
        Ok(Self(found.into_iter().map(|(_, include, pattern)| (include, pattern)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        filters: Filters,
    }

    fn taken(line: &str) -> Vec<&'static str> {
        let words = std::iter::once("karui").chain(line.split_whitespace());
        let filters = Program::try_parse_from(words).unwrap().filters;
        ["a.jpg", "a.png", "raw/a.jpg", ".hidden"].into_iter().filter(|key| filters.take(key)).collect()
    }

    #[test]
    fn the_last_match_decides() {
        assert_eq!(taken(""), ["a.jpg", "a.png", "raw/a.jpg", ".hidden"]);
        assert_eq!(taken("--include *.jpg"), ["a.jpg", "raw/a.jpg"]);
        assert_eq!(taken("--exclude *.jpg"), ["a.png", ".hidden"]);
        assert_eq!(taken("--exclude * --include *.jpg"), ["a.jpg", "raw/a.jpg"]);
        assert_eq!(taken("--exclude * --include *.jpg --exclude raw/*"), ["a.jpg"]);
        assert_eq!(taken("--include *.jpg --exclude *"), [""; 0]);
        assert_eq!(taken("--exclude raw/* --include raw/a*"), ["a.jpg", "a.png", "raw/a.jpg", ".hidden"]);
    }

    #[test]
    fn a_pattern_that_is_none_is_wrong_usage() {
        assert!(Program::try_parse_from(["karui", "--include", "[a"]).is_err());
    }
}
