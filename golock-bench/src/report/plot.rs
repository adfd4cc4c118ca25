//! Bars in groups, as SVG. Bars are cut where the longest would hide the others; their numbers are not.

#[derive(Debug)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) groups: Vec<Group>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) label: String,
    pub(super) bars: Vec<Bar>,
}

#[derive(Debug)]
pub(super) struct Bar {
    label: String,
    value: f64,
}

impl Bar {
    pub(super) fn new(label: &str, value: f64) -> Self {
        Self { label: label.to_owned(), value }
    }
}

impl Plot {
    pub(super) fn svg(&self) -> String {
        let groups: Vec<&Group> = self.groups.iter().filter(|group| !group.bars.is_empty()).collect();
        let bars: usize = groups.iter().map(|group| group.bars.len()).sum();
        let height = TOP + bars * BAR + groups.len() * GAP;
        let longest = self.longest();
        let scale = |value: f64| (value.min(longest) / longest * LENGTH as f64).max(1.0);

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"12\" y=\"22\" font-size=\"14\" font-weight=\"bold\" fill=\"#222\">{}</text>\n",
            escaped(self.title)
        );
        // Behind the bars, which it would cut.
        let one = LEFT as f64 + scale(1.0);
        svg += &format!(
            "<line x1=\"{one:.0}\" x2=\"{one:.0}\" y1=\"{}\" y2=\"{}\" stroke=\"#222\" stroke-dasharray=\"3 3\"/>\n",
            TOP - 6,
            height - GAP + 4
        );
        let mut y = TOP;
        for group in groups {
            let label = escaped(&group.label);
            svg += &format!(
                "<text x=\"12\" y=\"{}\" font-weight=\"bold\" fill=\"#222\">{label}</text>\n",
                y + 15
            );
            for bar in &group.bars {
                svg += &bar.svg(y, scale(bar.value), scale(1.0), bar.value > longest);
                y += BAR;
            }
            y += GAP;
        }
        svg += "</svg>\n";
        svg
    }

    /// No more than three times golock's longest.
    fn longest(&self) -> f64 {
        let bars = || self.groups.iter().flat_map(|group| &group.bars);
        let most = |bars: &mut dyn Iterator<Item = &Bar>| bars.map(|bar| bar.value).fold(1.0, f64::max);
        most(&mut bars()).min(3.0 * most(&mut bars().filter(|bar| bar.label == "golock")))
    }
}

impl Bar {
    /// The number stands beyond the line at `one`, which would cross it.
    fn svg(&self, y: usize, length: f64, one: f64, is_cut: bool) -> String {
        let color = if self.label == "golock" { "#2b6cb0" } else { "#b8c4d0" };
        let (label, value) = (escaped(&self.label), self.value);
        let cut = if is_cut { " →" } else { "" };
        format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#222\">{label}</text>\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.0}\" height=\"{}\" fill=\"{color}\"/>\
             <text x=\"{:.0}\" y=\"{}\" fill=\"#222\">{value:.2}{cut}</text>\n",
            LEFT - 8,
            y + 15,
            y + 3,
            BAR - 6,
            LEFT as f64 + length.max(one) + 6.0,
            y + 15,
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const WIDTH: usize = 820;
const TOP: usize = 44;
const LEFT: usize = 280;
const LENGTH: usize = 440;
const BAR: usize = 20;
const GAP: usize = 14;

#[cfg(test)]
mod tests {
    use super::{Bar, Group, LENGTH, Plot};

    #[test]
    fn a_bar_that_would_hide_the_others_is_cut_and_says_its_number() {
        let bars = vec![Bar::new("golock", 2.0), Bar::new("a < b", 700.0)];
        let plot = Plot { title: "t", groups: vec![Group { label: "redis".into(), bars }] };
        let svg = plot.svg();
        assert!(svg.contains(&format!("width=\"{:.0}\"", LENGTH as f64 / 3.0)), "{svg}");
        assert!(svg.contains(&format!("width=\"{LENGTH}\"")) && svg.contains(">700.00 →<"), "{svg}");
        assert!(svg.contains("a &lt; b"));
    }
}
