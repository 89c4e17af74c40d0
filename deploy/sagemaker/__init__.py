"""Deploys the model to a SageMaker endpoint: `python -m deploy.sagemaker`.

A command reads the file and what exists in AWS, plans, shows the plan, and carries it out:

 - `config.py` parses the deployment file;
 - `requests.py` makes the requests that the deployment consists of;
 - `aws.py` reads the state of AWS (`state.py`) and carries out calls;
 - `plan.py` and `parts.py` make the steps (`steps.py`) of a command from both;
 - `cost.py` prices them;
 - `report.py` shows plans and the state;
 - `execute.py` carries the steps out, waits (`waits.py`) and undoes a plan that fails;
 - `watch.py` rolls an update back by the gateways' metrics;
 - `image.py` builds the image and pushes it;
 - `errors.py` makes one line of each error.

docs/deploy-sagemaker.md is the page for operators.
"""
