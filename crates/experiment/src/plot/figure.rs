//! What a figure shows.

/// Panels of lines, up to three in a row.
pub(crate) struct Lines {
    pub(crate) keys: Vec<Key>,
    pub(crate) panels: Vec<Panel>,
    /// Whether points are marked.
    pub(crate) markers: bool,
}

/// A coordinate system with lines.
pub(crate) struct Panel {
    pub(crate) title: String,
    /// Title of its axis.
    pub(crate) x: String,
    /// Title of its axis.
    pub(crate) y: String,
    pub(crate) series: Vec<Series>,
    pub(crate) levels: Vec<Level>,
    /// Where the x axis has its numbers; none for whole numbers as they fit.
    pub(crate) ticks: Option<Vec<f64>>,
    /// Upper end of the y axis, which begins at 0; none for what the lines need.
    pub(crate) top: Option<f64>,
}

/// A line through points, in the order of x.
pub(crate) struct Series {
    pub(crate) style: usize,
    pub(crate) points: Vec<Point>,
}

/// A point with its standard error.
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) error: Option<f64>,
}

/// A horizontal line.
pub(crate) struct Level {
    pub(crate) style: usize,
    pub(crate) y: f64,
}

/// Groups of bars, from 0 up.
pub(crate) struct Bars {
    /// Title of the axis.
    pub(crate) y: String,
    pub(crate) keys: Vec<Key>,
    pub(crate) groups: Vec<Group>,
}

/// Bars side by side.
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// A bar with its standard error.
pub(crate) struct Bar {
    pub(crate) style: usize,
    pub(crate) value: f64,
    pub(crate) error: Option<f64>,
}

/// A line of the legend.
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) style: usize,
    /// Trained methods have a line or a bar, others a level.
    pub(crate) trained: bool,
}
