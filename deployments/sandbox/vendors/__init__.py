"""Stateful stand-ins for the outside systems, named by purpose.

`flag_service` answers as LaunchDarkly, `change_tickets` as Jira Cloud v3, `chat_workspace` as Slack, `pager_service`
as PagerDuty's Events v2 and `source_code` as GitHub, each under the paths of the real API. They keep what they are
told, check what they are sent against `contracts`, and refuse the way the real systems refuse.
"""
