//! Racks whose cards are one `NVLink` domain. Rows count their trays as nodes.

use motley_hardware::Catalog;

use super::assumptions::Assumptions;

/// How rows call the link of such cards, whatever the size of the domain.
pub(super) const LINK: &str = "nvl72";

/// Over how many racks so many cards are spread, in whole trays: as few as hold equal parts. A job
/// of 256 cards takes 64 of each of four racks (Megatron-Bridge's performance guide: "you can just
/// use 64 GPUs out of the 72 GPUs"). None where no number of racks will do.
pub(super) fn parts(
    device: &str,
    cards: u32,
    tray: u32,
    assumptions: &mut Assumptions,
) -> Option<u32> {
    let designs = Catalog::builtin().nodes.values();
    let rack = designs.filter(|design| design.device == device).map(|design| design.gpus).max()?;
    let racks = (cards.div_ceil(rack)..=cards.div_ceil(tray.max(1))).find(|racks| {
        cards.is_multiple_of(*racks) && (cards / racks).is_multiple_of(tray.max(1))
    })?;
    let part = cards / racks;
    assumptions.note(format!("{racks} NVLink domains of {part} cards each"));
    Some(racks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_of_few_racks() {
        let check = |cards: u32, tray: u32, racks: Option<u32>| {
            assert_eq!(parts("gb200", cards, tray, &mut Assumptions::default()), racks, "{cards}");
        };
        check(8, 4, Some(1));
        check(64, 4, Some(1));
        check(72, 4, Some(1));
        check(144, 4, Some(2));
        check(256, 4, Some(4));
        check(512, 4, Some(8));
        check(2496, 4, Some(39));
        // Halves would be 50 cards, no whole trays.
        check(100, 4, Some(5));
        check(3, 3, Some(1));
        assert_eq!(parts("t4", 8, 4, &mut Assumptions::default()), Some(2));
        assert_eq!(parts("none", 8, 4, &mut Assumptions::default()), None);
    }
}
