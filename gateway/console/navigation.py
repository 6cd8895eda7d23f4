"""Where one can go. A new area is a line here, a folder of templates, and its pages in `routes`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A page that the navigation names. `icon` is a symbol of `icons.html`."""

    path: str
    name: str
    icon: str


@dataclass(frozen=True)
class Section:
    """Places that belong together."""

    name: str
    places: tuple[Place, ...]


NAVIGATION: tuple[Section, ...] = (
    Section(
        "Work",
        (
            Place("/console", "Overview", "overview"),
            Place("/console/jobs", "Jobs", "jobs"),
            Place("/console/dead", "Dead letters", "dead"),
            Place("/console/collections", "Collections", "collections"),
            Place("/console/schedules", "Schedules", "schedules"),
        ),
    ),
    Section(
        "Media",
        (
            Place("/console/files", "Files", "files"),
            Place("/console/analyses", "Analyses", "analyses"),
            Place("/console/models", "Models", "models"),
        ),
    ),
    Section(
        "Datasets",
        (
            Place("/console/projects", "Projects", "projects"),
            Place("/console/datasets", "Datasets", "datasets"),
            Place("/console/exports", "Exports", "exports"),
        ),
    ),
    Section(
        "System",
        (
            Place("/console/kinds", "Kinds and queues", "kinds"),
            Place("/console/workers", "Workers", "workers"),
            Place("/console/webhooks", "Webhooks", "webhooks"),
            Place("/console/events", "Audit log", "events"),
        ),
    ),
    Section(
        "Reference",
        (
            Place("/console/docs/http", "HTTP API", "docs"),
            Place("/console/docs/messages", "Messages", "messages"),
            Place("/console/docs/runbooks", "Runbooks", "events"),
        ),
    ),
)


#: Pages that stand elsewhere than below the place that they belong to.
BELONGS = {
    "/console/uploads/": "/console/projects",
    "/console/tasks/": "/console/projects",
    "/id/": "/console/collections",
}


def here(path: str) -> str:
    """The place that a page belongs to: the longest that its path begins with."""
    for start, place in BELONGS.items():
        if path.startswith(start):
            return place
    if path == "/":
        return "/console/collections"
    places = [place.path for section in NAVIGATION for place in section.places]
    within = [place for place in places if path == place or path.startswith(f"{place}/")]
    return max(within, key=len, default="/console")
