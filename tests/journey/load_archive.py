"""Run by itself, with pandas and scikit-learn and nothing of ours: loads an archive and tells what is in it."""

import io
import json
import pickle
import sys
import zipfile

import pandas as pd

archive = zipfile.ZipFile(sys.argv[1])
machine_name = f"machine_labeled_data_{sys.argv[2]}"
machine = pd.read_json(io.BytesIO(archive.read(f"{machine_name}.json")), precise_float=True)
classifier = pickle.loads(archive.read("clf.p"))
vectorizer = pickle.loads(archive.read("vectorizer.p"))
lines = pd.read_json(io.BytesIO(archive.read(f"{machine_name}.ndjson")), lines=True, precise_float=True)
predicted = classifier.predict(vectorizer.transform(machine["text_data"]))
told = {
    "rows": len(machine),
    "same_labels": list(predicted) == list(machine["label"]),
    "human": len(pd.read_json(io.BytesIO(archive.read("human_labeled_data.json")))),
    "stamps": len(pd.read_json(io.BytesIO(archive.read("sample_timestamps.json")))),
    "formats_agree": machine.equals(lines),
}
if "parquet" in sys.argv[3:]:
    parquet = pd.read_parquet(io.BytesIO(archive.read(f"{machine_name}.parquet")))
    told["formats_agree"] = told["formats_agree"] and machine.equals(parquet)
sys.stdout.write(json.dumps(told))
