//! Transfers as a fluid, worked out the plain way: at each arrival and start all rates are found
//! anew by raising them together. Shares nothing with the engine.

/// One instance of a communicator.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    /// Nanoseconds.
    pub(crate) start: u64,
    /// Of each connection.
    pub(crate) bytes: f64,
    /// Of each connection, bytes per second.
    pub(crate) rate_cap: f64,
    /// Links with multiplicities.
    pub(crate) connections: Vec<Vec<(u32, f64)>>,
}

/// A connection under way, or yet to start.
struct Connection<'a> {
    transfer: usize,
    start: f64,
    left: f64,
    cap: f64,
    links: &'a [(u32, f64)],
}

/// When the last connection of each transfer has moved its bytes, seconds.
pub(crate) fn arrivals(capacities: &[f64], transfers: &[Transfer]) -> Vec<f64> {
    let mut connections: Vec<Connection> = transfers
        .iter()
        .enumerate()
        .flat_map(|(transfer, each)| {
            each.connections.iter().map(move |links| Connection {
                transfer,
                start: each.start as f64 * 1e-9,
                left: each.bytes,
                cap: each.rate_cap,
                links,
            })
        })
        .collect();
    let mut ends = vec![0.0; transfers.len()];
    let mut now = 0.0;
    while !connections.is_empty() {
        let moving: Vec<bool> = connections.iter().map(|c| c.start <= now).collect();
        let limits: Vec<Limits> = connections.iter().map(|c| (c.cap, c.links)).collect();
        let rates = fair_rates(capacities, &limits, &moving);
        let mut next = f64::INFINITY;
        for (c, connection) in connections.iter().enumerate() {
            let at = if moving[c] { now + connection.left / rates[c] } else { connection.start };
            next = f64::min(next, at);
        }
        for (c, connection) in connections.iter_mut().enumerate() {
            connection.left -= rates[c] * (next - now);
        }
        now = next;
        // A millionth of a byte is none: at these rates far below a picosecond.
        connections.retain(|connection| {
            let over = connection.left < 1e-6;
            if over {
                ends[connection.transfer] = now;
            }
            !over
        });
    }
    ends
}

/// The cap of a connection, and the links that it crosses with their multiplicities.
pub(crate) type Limits<'a> = (f64, &'a [(u32, f64)]);

/// Max-min fair rates: all rise together, and stop at a full link or at the cap.
pub(crate) fn fair_rates(capacities: &[f64], connections: &[Limits], moving: &[bool]) -> Vec<f64> {
    let mut rates = vec![0.0; connections.len()];
    let mut rising = moving.to_vec();
    while rising.contains(&true) {
        let mut left = capacities.to_vec();
        let mut weight = vec![0.0; capacities.len()];
        for (c, (_, links)) in connections.iter().enumerate() {
            for &(link, multiplicity) in *links {
                left[link as usize] -= multiplicity * rates[c];
                weight[link as usize] += if rising[c] { multiplicity } else { 0.0 };
            }
        }
        // How much further each could rise if all rose together.
        let room = |c: usize| {
            let (cap, links) = connections[c];
            let links = links.iter().map(|&(link, _)| link as usize);
            links.map(|l| left[l] / weight[l]).fold(cap - rates[c], f64::min)
        };
        let risers = (0..rates.len()).filter(|&c| rising[c]);
        let rooms: Vec<(usize, f64)> = risers.map(|c| (c, room(c))).collect();
        let rise = rooms.iter().map(|&(_, room)| room).fold(f64::INFINITY, f64::min).max(0.0);
        for (c, room) in rooms {
            rates[c] += rise;
            rising[c] = room > rise + 1e-12 * rates[c];
        }
    }
    rates
}
