//! Which virtual stage lies where: the way of a micro-batch through the chunks of the stages.
//!
//! ```text
//! linear, 4 stages     round robin, 2 chunks     V                 bidirectional
//! stage 0   0          stage 0   0  4            stage 0   0  7    stage 0   0 | 3
//! stage 1   1          stage 1   1  5            stage 1   1  6    stage 1   1 | 2
//! stage 2   2          stage 2   2  6            stage 2   2  5    stage 2   2 | 1
//! stage 3   3          stage 3   3  7            stage 3   3  4    stage 3   3 | 0
//! ```
//!
//! The numbers are virtual stages in the order of visits; columns are the chunks of a stage. A
//! bidirectional placement holds the model twice, and every second micro-batch goes the other way.

/// A model chunk of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The stage.
    pub stage: u32,
    /// Which of the stage's chunks.
    pub chunk: u32,
}

/// The routes of micro-batches. Every route passes the whole model; micro-batch `m` takes route
/// `m % routes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    routes: Vec<Vec<Position>>,
    stages: u32,
    chunks: u32,
    /// By stage and chunk: route, and place on it.
    places: Vec<(u32, u32)>,
}

impl Placement {
    /// One chunk a stage, from the first stage to the last.
    pub fn linear(stages: u32) -> Self {
        Self::round_robin(stages, 1)
    }

    /// From the first stage to the last, as often as there are chunks (Narayanan et al. 2021).
    pub fn round_robin(stages: u32, chunks: u32) -> Self {
        let visit = |chunk| (0..stages).map(move |stage| Position { stage, chunk });
        Self::new(vec![(0..chunks).flat_map(visit).collect()], stages, chunks)
    }

    /// Chunk 0 down the stages, chunk 1 up again: the first stage holds both ends of the model
    /// (Qi et al. 2024, arXiv 2405.15362).
    pub fn vee(stages: u32) -> Self {
        let down = (0..stages).map(|stage| Position { stage, chunk: 0 });
        let up = (0..stages).rev().map(|stage| Position { stage, chunk: 1 });
        Self::new(vec![down.chain(up).collect()], stages, 2)
    }

    /// Two copies of the model: one down the stages in their chunks 0, one up in their chunks 1
    /// (Li and Hoefler 2021, arXiv 2107.06925; DeepSeek-V3, arXiv 2412.19437).
    pub fn bidirectional(stages: u32) -> Self {
        let down = (0..stages).map(|stage| Position { stage, chunk: 0 });
        let up = (0..stages).rev().map(|stage| Position { stage, chunk: 1 });
        Self::new(vec![down.collect(), up.collect()], stages, 2)
    }

    fn new(routes: Vec<Vec<Position>>, stages: u32, chunks: u32) -> Self {
        let mut places = vec![(0, 0); stages as usize * chunks as usize];
        for (route, positions) in routes.iter().enumerate() {
            for (place, position) in positions.iter().enumerate() {
                let index = position.stage as usize * chunks as usize + position.chunk as usize;
                places[index] = (route as u32, place as u32);
            }
        }
        Self { routes, stages, chunks, places }
    }

    /// How many stages there are.
    pub fn stages(&self) -> u32 {
        self.stages
    }

    /// How many chunks each stage has.
    pub fn chunks(&self) -> u32 {
        self.chunks
    }

    /// The routes, each from the embedding to the head.
    pub fn routes(&self) -> &[Vec<Position>] {
        &self.routes
    }

    /// The route of a position, and its place on it.
    pub fn place(&self, position: Position) -> (usize, usize) {
        let index = position.stage as usize * self.chunks as usize + position.chunk as usize;
        let (route, place) = self.places[index];
        (route as usize, place as usize)
    }

    /// Where micro-batches at a position come from; none if it starts with the embedding.
    pub fn before(&self, position: Position) -> Option<Position> {
        let (route, place) = self.place(position);
        place.checked_sub(1).map(|place| self.routes[route][place])
    }

    /// Where micro-batches at a position go; none if it ends with the head.
    pub fn after(&self, position: Position) -> Option<Position> {
        let (route, place) = self.place(position);
        self.routes[route].get(place + 1).copied()
    }

    /// How many of a pipeline's micro-batches take a route.
    pub fn micro_batches_on(&self, route: usize, micro_batches: u32) -> u32 {
        let routes = self.routes.len() as u32;
        (micro_batches + routes - 1 - route as u32) / routes
    }

    /// The how-many-th micro-batch of its route a micro-batch is, from zero.
    pub fn turn_on_route(&self, micro_batch: u32) -> u32 {
        micro_batch / self.routes.len() as u32
    }

    /// The `turn`-th micro-batch of a route.
    pub(super) fn micro_batch(&self, route: usize, turn: u32) -> u32 {
        turn * self.routes.len() as u32 + route as u32
    }
}
