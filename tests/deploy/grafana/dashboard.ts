/** What a dashboard's file may contain: Grafana's own types, without the kinds of panels that we do not use. */
import type {
  Dashboard,
  FieldConfig,
  Panel,
} from "@grafana/schema/dist/types/raw/dashboard/x/dashboard_types.gen";
import type * as timeseries from "@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type { CloudWatchMetricsQuery } from "@grafana/schema/dist/types/raw/composable/cloudwatch/dataquery/x/CloudWatchDataQuery_types.gen";
// The package above has no types of Prometheus' queries.
import type { Dataquery } from "@grafana/grafana-foundation-sdk/dist/prometheus/types.gen";

type TimeSeries = Omit<Panel, "type" | "options" | "fieldConfig" | "targets"> & {
  type: "timeseries";
  options: timeseries.Options;
  fieldConfig: {
    defaults: Omit<FieldConfig, "custom"> & { custom: timeseries.FieldConfig };
    overrides: [];
  };
  targets: (Omit<Dataquery, "_implementsDataqueryVariant"> | CloudWatchMetricsQuery)[];
};

/** A type with the values of its string enumerations, as in JSON, in place of their members. */
type Json<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Json<T[K]> } : T;

export type File = Json<Omit<Dashboard, "panels"> & { panels: TimeSeries[] }>;
