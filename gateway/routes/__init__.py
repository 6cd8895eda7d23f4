"""Every URL, a table for each area: method, path, handler, who may call it, what goes in, what comes out.

The pages of the console have a table of their own: `gateway.console.routes`.
"""

from gateway.endpoint import Endpoint
from gateway.routes.datasets import DATASETS
from gateway.routes.fetching import FETCHING
from gateway.routes.files import FILES
from gateway.routes.items import ITEMS
from gateway.routes.jobs import JOBS
from gateway.routes.labelling import LABELLING
from gateway.routes.legacy import LEGACY
from gateway.routes.watching import WATCHING

ENDPOINTS: tuple[Endpoint, ...] = (
    *JOBS,
    *FILES,
    *LABELLING,
    *ITEMS,
    *FETCHING,
    *DATASETS,
    *LEGACY,
    *WATCHING,
)
