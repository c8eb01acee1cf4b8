//! A Warlord: tries its orders on a copy of the match before it gives them.

use raftian_realm::crowns::Order;

use crate::captain;
use crate::outlook::Outlook;
use crate::style::Style;

pub(crate) fn orders(look: &Outlook<'_>, style: &Style) -> Vec<Order> {
    captain::orders(look, style, None)
}
