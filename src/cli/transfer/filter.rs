//! `--include` and `--exclude`: select keys. Pure.

use clap::{Arg, ArgAction, ArgMatches, Command};
use glob::{MatchOptions, Pattern};

/// Patterns in the order of the command line; the last one that matches a key decides.
#[derive(Debug, Clone, Default)]
pub struct Filters(Vec<(bool, Pattern)>);

/// `*` also matches `/`, as in the AWS tools.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: false, require_literal_leading_dot: false };

impl Filters {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key, relative to its root, is selected. If the first pattern is an include, all other keys are
    /// excluded.
    pub fn includes(&self, key: &str) -> bool {
        let decided = self.0.iter().rev().find(|(_, pattern)| pattern.matches_with(key, OPTIONS));
        match decided {
            Some((include, _)) => *include,
            None => self.0.first().is_none_or(|(include, _)| !include),
        }
    }
}

/// Written by hand, since derived arguments lose the order of different options.
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
                "Copy keys below SRC that match: * (also across /), ?, [a-z]. The last matching --include or --exclude \
                 decides; if the first is --include, all other keys are excluded",
            ))
            .arg(pattern("exclude", "Exclude keys that match"))
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
        ["a.jpg", "a.png", "raw/a.jpg", ".hidden"].into_iter().filter(|key| filters.includes(key)).collect()
    }

    #[test]
    fn includes_follows_the_last_match() {
        assert_eq!(taken(""), ["a.jpg", "a.png", "raw/a.jpg", ".hidden"]);
        assert_eq!(taken("--include *.jpg"), ["a.jpg", "raw/a.jpg"]);
        assert_eq!(taken("--exclude *.jpg"), ["a.png", ".hidden"]);
        assert_eq!(taken("--exclude * --include *.jpg"), ["a.jpg", "raw/a.jpg"]);
        assert_eq!(taken("--exclude * --include *.jpg --exclude raw/*"), ["a.jpg"]);
        assert_eq!(taken("--include *.jpg --exclude *"), [""; 0]);
        assert_eq!(taken("--exclude raw/* --include raw/a*"), ["a.jpg", "a.png", "raw/a.jpg", ".hidden"]);
    }

    #[test]
    fn parse_of_invalid_pattern_is_an_error() {
        assert!(Program::try_parse_from(["karui", "--include", "[a"]).is_err());
    }
}
