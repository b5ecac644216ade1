{{- /* Fixed names: pods know the Service's, the operator the Secret's and the Lease's. One release per namespace. */ -}}
{{- define "kruntimes.name" -}}kruntimes-controller{{- end -}}

{{- /* Cluster-scoped objects carry the namespace, so that releases in several namespaces do not meet. */ -}}
{{- define "kruntimes.clusterName" -}}kruntimes-controller.{{ .Release.Namespace }}{{- end -}}

{{- define "kruntimes.selector" -}}
app.kubernetes.io/name: kruntimes
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "kruntimes.labels" -}}
{{ include "kruntimes.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "kruntimes.image" -}}
{{- with .root.Values.images.registry }}{{ . }}/{{ end }}{{ .name }}:{{ .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{- define "kruntimes.account" -}}system:serviceaccount:{{ .Release.Namespace }}:{{ include "kruntimes.name" . }}{{- end -}}
