"""What rows are held to, by Great Expectations, and what is held back."""

import sys

from luodi.system.lazy import Unneeded, WhenUsed

# A fifth of Great Expectations' start, for tables in databases and buckets, of which luodi has none.
sys.meta_path.insert(0, Unneeded("great_expectations", "sqlalchemy", "boto3", "botocore", "psycopg2"))
# A third of its start is for what luodi uses nothing of.
sys.meta_path.insert(0, WhenUsed("scipy.stats", "altair"))
