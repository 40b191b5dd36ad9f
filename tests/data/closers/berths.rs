use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};

/// A berth, which may be "full" (see [`Berth::moor`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Berth<'a, T: Display> {
    name: &'a str,
    ships: HashMap<String, Vec<T>>,
}

#[derive(Debug)]
pub enum MoorError {
    Full(usize),
    Unknown { kind: String },
}

impl<'a, T: Display> Berth<'a, T> {
    pub fn new(name: &'a str) -> Self {
        Self { name, ships: HashMap::new() }
    }

    pub fn moor(&mut self, kind: &str, ship: T) -> Result<usize, MoorError> {
        let ships = self.ships.get_mut(kind).ok_or_else(|| MoorError::Unknown { kind: kind.into() })?;
        if ships.len() >= ships.capacity() {
            return Err(MoorError::Full(ships.len()));
        }
        println!("{} takes {ship} ({} of {})", self.name, ships.len() + 1, ships.capacity());
        ships.push(ship);
        let letters: Vec<char> = kind.chars().filter(|c| *c != '(' && *c != '"').collect();
        let by_name: BTreeMap<_, _> = self.ships.iter().map(|(k, v)| (k.as_str(), v.len())).collect();
        assert_eq!(by_name.get("barge"), Some(&1), "of {:?}", [letters.len(), ships.len()]);
        Ok(ships.len())
    }
}

impl fmt::Display for MoorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MoorError::Full(n) => write!(f, "{n} ships are there"),
            MoorError::Unknown { kind } => write!(f, "nobody knows {kind}"),
        }
    }
}
